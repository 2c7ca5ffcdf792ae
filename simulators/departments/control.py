"""A small endpoint on the loopback address through which departments are told how to behave.

`GET /control` tells how all stand. `POST /control/{department}` takes a JSON object with `do` (a behaviour,
or `start`, which is `ok`, or `report`), and `status`, `delay_s`, `for_s` where they mean something. Of a
browser nothing is taken: a page of another site cannot send JSON without asking first.
"""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pulse.errors import BadInput, NotFound, PulseError
from simulators.departments.temper import Do, Seconds, Temper

HOST = "127.0.0.1"
_MOST_BYTES = 10_000
_WORDS = {"start": Do.OK}
REPORT = "report"


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a department is told."""

    do: str
    status: Annotated[int, Meta(ge=200, le=599)] = 500
    delay_s: Seconds = 5.0
    for_s: Seconds | None = None

    def temper(self) -> Temper:
        """The behaviour. Raises `BadInput` for a word that is none."""
        try:
            return Temper(_WORDS.get(self.do) or Do(self.do), self.status, self.delay_s)
        except ValueError:
            words = ", ".join(sorted({*Do, *_WORDS, REPORT}))
            raise BadInput(
                f"{self.do[:40]!r} 不认识，可用 / is not known; use one of {words}", where="do"
            ) from None


class Controlled:
    """What can be told of the departments, by id."""

    def __init__(
        self, shown: Callable[[], list[dict[str, Any]]], tell: Callable[[str, Order], dict[str, Any]]
    ) -> None:
        self.shown = shown
        self.tell = tell


class Control:
    """The endpoint; it listens when made."""

    def __init__(self, port: int, controlled: Controlled) -> None:
        try:
            self._server = _Server((HOST, port), controlled)
        except OSError as error:
            raise BadInput(
                f"cannot listen on {HOST}:{port}: {error.strerror}", where="control_port"
            ) from error
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, at: tuple[str, int], controlled: Controlled) -> None:
        self.controlled = controlled
        super().__init__(at, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 30

    def do_GET(self) -> None:
        """How all departments stand."""
        if self._is_ours() and self.path == "/control":
            self._answer(200, {"departments": self.server.controlled.shown()})
        else:
            self._answer(404, {"error": "nothing is here but /control"})

    def do_POST(self) -> None:
        """Tell a department how to behave."""
        parts = self.path.strip("/").split("/")
        if not self._is_ours() or len(parts) != 2 or parts[0] != "control":
            self._answer(404, {"error": "nothing is here but /control/DEPARTMENT"})
            return
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        length = self.headers.get("Content-Length", "")
        if (
            kind != "application/json"
            or not (length.isascii() and length.isdigit())
            or int(length) > _MOST_BYTES
        ):
            self.close_connection = True
            self._answer(415, {"error": f"send a JSON object of at most {_MOST_BYTES} bytes"})
            return
        try:
            order = msgspec.json.decode(self.rfile.read(int(length)), type=Order)
            self._answer(200, self.server.controlled.tell(parts[1], order))
        except NotFound as error:
            self._answer(404, {"error": str(error)})
        except (msgspec.MsgspecError, BadInput) as error:
            self._answer(422, {"error": str(error)})
        except PulseError as error:
            self._answer(502, {"error": str(error)})

    def _is_ours(self) -> bool:
        """Whether it was sent to this address, and not to a name that leads here."""
        return self.headers.get("Host", "").rpartition(":")[0] in {HOST, "localhost"}

    def _answer(self, status: int, said: Mapping[str, Any]) -> None:
        body = json.dumps(said, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Nothing to tell."""

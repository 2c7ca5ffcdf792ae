"""A department that deliveries are pushed to over HTTP: a small server in threads, with TLS if wanted."""

import contextlib
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pulse.errors import BadInput
from pulse.sharing.signing import REQUEST, Request
from simulators.departments.description import Department
from simulators.departments.desk import Desk, NotAccepted
from simulators.departments.temper import Do, Temper

ELSEWHERE = "http://elsewhere.invalid/"
"""Where a redirect leads: a host that does not exist, and that nobody has to ask."""
_LOOK_S = 0.05
_SLOW_LOOK_S = 0.1


class Receiver:
    """The server; it stands while the department does not stop, always on the same port."""

    def __init__(self, department: Department, desk: Desk, stop: threading.Event) -> None:
        self._department = department
        self._desk = desk
        self._stop = stop
        self._tls = _tls(department)
        self._server: _Server | None = None
        self._open()

    @property
    def address(self) -> str:
        """Where deliveries are sent."""
        host = f"[{self._department.host}]" if ":" in self._department.host else self._department.host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}/"

    def run(self) -> None:
        """Follow the department's behaviour until `stop`."""
        while not self._stop.wait(_LOOK_S):
            wanted = self._desk.temper().do is not Do.STOP
            if wanted and self._server is None:
                with contextlib.suppress(BadInput):
                    # The port may be somebody else's for a moment: tried again.
                    self._open()
            elif not wanted and self._server is not None:
                self._close()
        self._close()

    def _open(self) -> None:
        at = (self._department.host, getattr(self, "port", self._department.port))
        try:
            self._server = _Server(at, self._desk, self._department, self._tls, self._stop)
        except OSError as error:
            raise BadInput(
                f"cannot listen on {at[0]}:{at[1]}: {error.strerror}", where=self._department.id
            ) from error
        self.port: int = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _LOOK_S}, daemon=True
        ).start()

    def _close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _tls(department: Department) -> ssl.SSLContext | None:
    if department.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(department.tls_cert, department.tls_key)
    except OSError as error:
        raise BadInput("is no certificate with its key", where=str(department.tls_cert)) from error
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        at: tuple[str, int],
        desk: Desk,
        department: Department,
        tls: ssl.SSLContext | None,
        stop: threading.Event,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in at[0] else socket.AF_INET
        self.desk = desk
        self.department = department
        self.scheme = "http" if tls is None else "https"
        self.stop = stop
        self._tls = tls
        super().__init__(at, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a client that does not shake hands keeps nobody waiting."""
        if self._tls is not None:
            request.settimeout(5)
            request = self._tls.wrap_socket(request, server_side=True)
            request.settimeout(None)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def do_POST(self) -> None:
        """A delivery."""
        desk = self.server.desk
        temper = desk.temper()
        try:
            body = self._body()
        except NotAccepted as error:
            self.close_connection = True
            self._refuse(error)
            return
        if temper.do in {Do.CLOSE, Do.STOP}:
            desk.refuse("连接关闭 connection closed")
            self.close_connection = True
        elif temper.do is Do.STATUS:
            desk.refuse(f"HTTP {temper.status}")
            self._answer(temper.status, b"told to\n")
        elif temper.do is Do.REDIRECT:
            desk.refuse("HTTP 307")
            self._answer(307, b"", Location=ELSEWHERE)
        else:
            self._take(body, temper)

    def do_GET(self) -> None:
        """Nothing is to be read here."""
        self._answer(405, b"", Allow="POST")

    def _take(self, body: bytes, temper: Temper) -> None:
        desk = self.server.desk
        if temper.do is Do.SLOW:
            self._wait(temper.delay_s)
        try:
            fields = _fields(self.headers)
            target = f"{self.server.scheme}://{fields.get('host', '')}{self.path}"
            desk.verify(Request(fields, self.command, target), body, REQUEST)
            desk.keep(fields["idempotency-key"], body, fields, forget=temper.do is Do.FORGET)
        except NotAccepted as error:
            self._refuse(error)
            return
        except KeyError:
            self._refuse(NotAccepted(400, "there is no Idempotency-Key"))
            return
        if temper.do is Do.LOST:
            self.close_connection = True
            return
        self._answer(204, b"")

    def _body(self) -> bytes:
        said = self.headers.get("Content-Length", "")
        if not (said.isascii() and said.isdigit()):
            raise NotAccepted(411, "there is no Content-Length")
        if int(said) > self.server.department.max_bytes:
            raise NotAccepted(413, f"{said} bytes, more than {self.server.department.max_bytes}")
        body = self.rfile.read(int(said))
        if len(body) < int(said):
            raise NotAccepted(400, "the content was cut off")
        return body

    def _wait(self, delay_s: float) -> None:
        until_s = time.monotonic() + delay_s
        while (left_s := until_s - time.monotonic()) > 0 and not self.server.stop.wait(
            min(left_s, _SLOW_LOOK_S)
        ):
            if self.server.desk.temper().do is not Do.SLOW:
                return

    def _refuse(self, error: NotAccepted) -> None:
        self.server.desk.refuse(f"HTTP {error.status}: {error}")
        self._answer(error.status, f"{error}\n".encode())

    def _answer(self, status: int, body: bytes, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """The desk tells what there is to tell."""


def _fields(headers: Any) -> dict[str, str]:
    """Fields by name in lower case; several of one name joined as RFC 9110 joins them."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found

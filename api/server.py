"""Runs the application under uvicorn, in any thread, until it is told to stop."""

import contextlib
import http
import http.client
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import uvicorn

from api.app import create_app
from api.context import Context
from api.tls import server_context
from pulse.clock import SECOND_US
from pulse.errors import Conflict, PulseError

GRACE_S = 3
"""How long answers under way may take once the server is told to stop."""
POLL_S = 0.05


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `Conflict` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise Conflict(
            f"无法监听 {host}:{port}（{error.strerror}），请用 PULSE_HTTP_PORT 或 --port 换一个端口 / "
            f"cannot listen on {host}:{port} ({error.strerror}); "
            "choose another port with PULSE_HTTP_PORT or --port"
        ) from error
    return bound


def serve(
    context: Context,
    host: str,
    port: int,
    stop: threading.Event,
    *,
    ready: Callable[[str], None] | None = None,
    pages: bool = True,
) -> None:
    """Serve API and pages until `stop` is set, then end streams and answers under way within 3 s.

    `ready` is called with the address (`http://127.0.0.1:8000`) once requests are answered. Signals are
    the caller's business. Without `pages`, only the API is served. Raises `Conflict` when the port cannot
    be had, `SettingsError` when the certificate cannot be used.
    """
    settings = context.settings
    tls = None
    if settings.http_tls_cert_file is not None and settings.http_tls_key_file is not None:
        now = datetime.fromtimestamp(context.clock.now_us() / SECOND_US, UTC)
        tls = server_context(settings.http_tls_cert_file, settings.http_tls_key_file, now)
    bound = listen(host, port)
    with contextlib.closing(bound):
        app = create_app(context, pages=pages)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            # It would believe whoever comes from 127.0.0.1; `api.auth.address` asks PULSE_TRUSTED_PROXIES.
            proxy_headers=False,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            timeout_graceful_shutdown=GRACE_S,
        )
        shown = f"[{host}]" if ":" in host else host
        address = f"{'http' if tls is None else 'https'}://{shown}:{bound.getsockname()[1]}"
        server = _Server(config, stop, app.state.hub.close, lambda: ready(address) if ready else None)
        server.run(sockets=[bound])
        if not server.started:
            raise PulseError("the web server could not start; the log before this line says why")


def wait_ready(host: str, port: int, stop: threading.Event) -> bool:
    """Wait until a server answers there, however long that takes; False when `stop` was set before."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - not bound here
    while not stop.is_set():
        connection = http.client.HTTPConnection(reachable, port, timeout=POLL_S * 10)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        except (OSError, http.client.HTTPException):
            stop.wait(POLL_S)
        finally:
            connection.close()
    return False


class _Server(uvicorn.Server):
    """A server that obeys an event instead of signals, and ends its streams before it waits for them."""

    def __init__(
        self,
        config: uvicorn.Config,
        stop: threading.Event,
        end_streams: Callable[[], None],
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._stop = stop
        self._end_streams = end_streams
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)

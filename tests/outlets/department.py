"""A department's HTTP server: real, on a free port, with or without TLS; it does what a test tells it."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple


class Received(NamedTuple):
    """A request as it came, its fields by their names in lower case."""

    path: str
    fields: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What the department answers; `drop` closes the connection instead, after it has read everything."""

    status: int = 200
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    drop: bool = False


class Department:
    """What it received, in order, and what it answers."""

    def __init__(self, port: int, tls: bool) -> None:
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/in?from=pulse"
        self.received: list[Received] = []
        self.answer: Callable[[Received], Reply] = lambda _received: Reply()

    def ids(self) -> list[str]:
        """The ids of deliveries, as often as they came."""
        return [one.fields["idempotency-key"] for one in self.received]


@contextlib.contextmanager
def serving(certificate: Path | None = None, key: Path | None = None) -> Iterator[Department]:
    """A department that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            fields = {name.lower(): value for name, value in self.headers.items()}
            got = Received(self.path, fields, body)
            department.received.append(got)
            reply = department.answer(got)
            if reply.drop:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.fields:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(reply.body)

        def log_message(self, *_args: object) -> None:
            """Nothing is printed."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Handshakes that fail are what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    department = Department(server.server_address[1], certificate is not None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield department
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""An HTTP server that answers like an InfluxDB with an empty bucket, or as a test tells it to."""

import contextlib
import gzip
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Reply(NamedTuple):
    """One answer. `hang` keeps the client waiting until the test is over, `cut` closes the connection."""

    status: int = 204
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    cut: bool = False

    @classmethod
    def error(cls, status: int, message: str, **headers: str) -> "Reply":
        body = json.dumps({"code": "-", "message": message}).encode()
        return cls(status, body, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


_BUCKETS = {"buckets": [{"id": "0123456789abcdef", "name": "pulse", "retentionRules": []}]}
_USUAL = {
    "/api/v2/buckets": Reply(200, json.dumps(_BUCKETS).encode(), (("Content-Type", "application/json"),)),
    "/query": Reply(200, b'{"results":[{"statement_id":0}]}\n'),
    "/api/v2/write": Reply(204),
}


class ScriptedInflux:
    """`script` holds the next answers by path; `judge` decides writes by body; `bodies` were written."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.script: dict[str, deque[Reply]] = {path: deque() for path in _USUAL}
        self.judge: Callable[[bytes], Reply] | None = None
        self.bodies: list[bytes] = []
        self.encodings: list[str | None] = []
        self.over = threading.Event()

    def reply(self, path: str, body: bytes) -> Reply:
        if path == "/api/v2/write":
            self.bodies.append(body)
        if self.script[path]:
            return self.script[path].popleft()
        if path == "/api/v2/write" and self.judge is not None:
            return self.judge(body)
        return _USUAL[path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or the client's delayed acknowledgement holds them up
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        encoding = self.headers.get("Content-Encoding")
        self.server.influx.encodings.append(encoding)
        self._answer(gzip.decompress(body) if encoding == "gzip" else body)

    def do_GET(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        reply = self.server.influx.reply(urlsplit(self.path).path, body)
        if reply.hang:
            self.server.influx.over.wait()
        if reply.cut or reply.hang:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base class
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    influx: ScriptedInflux


@contextlib.contextmanager
def scripted_influx() -> Iterator[ScriptedInflux]:
    """The server, listening on a free port of the loopback address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.influx = ScriptedInflux(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.influx
    finally:
        server.influx.over.set()
        server.shutdown()
        thread.join()
        server.server_close()

"""A real server on a free port, and clients of its live stream."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from api.context import Context
from api.server import serve

PATIENCE_S = 20.0


class Running(NamedTuple):
    """A running server; set `stop` and join `thread` to end it early."""

    address: str
    port: int
    stop: threading.Event
    thread: threading.Thread


@contextlib.contextmanager
def running(context: Context) -> Iterator[Running]:
    """Serve `context` until the block ends."""
    stop, started = threading.Event(), threading.Event()
    addresses: list[str] = []

    def ready(address: str) -> None:
        addresses.append(address)
        started.set()

    thread = threading.Thread(
        target=serve,
        args=(context, "127.0.0.1", 0, stop),
        kwargs={"ready": ready, "pages": False},
        daemon=True,
    )
    thread.start()
    try:
        assert started.wait(PATIENCE_S), "the server did not start"
        yield Running(addresses[0], int(addresses[0].rpartition(":")[2]), stop, thread)
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the server did not stop"


class Received(NamedTuple):
    """One block of the stream; `received_s` is on the monotonic axis."""

    event: str | None
    id: int | None
    data: dict[str, Any] | None
    comment: str | None
    received_s: float


class LiveClient:
    """Reads the live stream over a socket of its own."""

    def __init__(
        self,
        port: int,
        query: str = "",
        *,
        last_event_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        sent = {"Host": "127.0.0.1", **(headers or {})}
        if last_event_id is not None:
            sent["Last-Event-ID"] = last_event_id
        lines = [f"GET /api/v1/events{query} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        request = "".join(f"{line}\r\n" for line in [*lines, ""])
        self.socket.sendall(request.encode())
        self._file = self.socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value
        self._rest = b""

    def __enter__(self) -> "LiveClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def block(self) -> Received | None:
        """The next block, None when the stream has ended."""
        while b"\n\n" not in self._rest:
            chunk = self._chunk()
            if not chunk:
                return None
            self._rest += chunk
        text, _, self._rest = self._rest.partition(b"\n\n")
        members = {}
        for line in text.decode().split("\n"):
            name, _, value = line.partition(": ")
            members[name or "comment"] = value
        return Received(
            members.get("event"),
            int(members["id"]) if "id" in members else None,
            json.loads(members["data"]) if "data" in members else None,
            members.get("comment"),
            time.monotonic(),
        )

    def events(self, count: int) -> list[Received]:
        """The next blocks that are events; fails when the stream ends before."""
        found: list[Received] = []
        while len(found) < count:
            block = self.block()
            assert block is not None, f"the stream ended after {len(found)} events"
            if block.event is not None:
                found.append(block)
        return found

    def _chunk(self) -> bytes:
        """One piece of the chunked body (RFC 9112, 7.1), empty at its end."""
        try:
            size = int(self._file.readline() or b"0", 16)
            data = self._file.read(size + 2)[:-2]
        except ConnectionError:
            return b""
        return data

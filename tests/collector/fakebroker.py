"""A broker of raw bytes, for what a real one refuses to do: it answers as a script says."""

import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x30, 0x40, 0x80, 0xC0, 0xE0


CANARY = 0xFFF0
"""The number under which every publication of the client comes back to it."""


class Peer:
    """One connection of a client."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")
        self.level = 0
        self.acknowledged: list[int] = []
        self._sending = threading.Lock()

    def packet(self) -> tuple[int, bytes]:
        """The next packet: first byte and body. Raises `EOFError` at the end."""
        first = self.file.read(1)
        if not first:
            raise EOFError
        length = shift = 0
        while True:
            byte = self.file.read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return first[0], self.file.read(length)

    def send(self, first: int, body: bytes) -> None:
        length, encoded = len(body), b""
        while True:
            encoded += bytes([length % 128 | (128 if length > 127 else 0)])
            length //= 128
            if not length:
                break
        with self._sending:
            self.sock.sendall(bytes([first]) + encoded + body)

    def connack(self, code: int = 0, *, session: bool = False) -> None:
        self.send(0x20, bytes([int(session), code]) + (b"\0" if self.level == 5 else b""))

    def suback(self, body: bytes, codes: bytes) -> None:
        self.send(0x90, body[:2] + (b"\0" if self.level == 5 else b"") + codes)

    def publish(
        self, topic: bytes, payload: bytes, *, mid: int = 0, retain: bool = False, dup: bool = False
    ) -> None:
        body = struct.pack("!H", len(topic)) + topic
        if mid:
            body += struct.pack("!H", mid)
        if self.level == 5:
            body += b"\0"
        self.send(PUBLISH | (2 if mid else 0) | int(retain) | (8 if dup else 0), body + payload)

    def serve(self, *, codes: bytes = b"\1\1\1", echo: bool = True) -> None:
        """Answer subscriptions, pings and publications until the client goes.

        If `echo`, the publications that the client subscribes to come back to it.
        """
        while True:
            first, body = self.packet()
            kind = first & 0xF0
            if kind == SUBSCRIBE:
                # The second subscription is the single one of the broker's count.
                wanted = body.count(b"community/") + body.count(b"pulse/canary")
                self.suback(body, codes if wanted else b"\x80")
            elif kind == PINGREQ:
                self.send(0xD0, b"")
            elif kind == PUBACK:
                self.acknowledged.append(struct.unpack("!H", body[:2])[0])
            elif kind == PUBLISH:
                size = struct.unpack("!H", body[:2])[0]
                self.send(PUBACK, body[2 + size : 4 + size])
                if echo and body[2:].startswith((b"community/", b"pulse/canary/")):
                    self.send(PUBLISH | 2, body[: 2 + size] + struct.pack("!H", CANARY) + body[4 + size :])
            elif kind == DISCONNECT:
                return


class FakeBroker:
    """Listens on a free port; every connection runs `script(peer, n)` in a thread, n counting from 0."""

    def __init__(self, script: Callable[[Peer, int], None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.peers: list[Peer] = []
        self.levels: list[int] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "FakeBroker":
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self.peers:
            peer.file.close()
            peer.sock.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(sock)
            self.peers.append(peer)
            threading.Thread(target=self._run, args=(peer, len(self.peers) - 1), daemon=True).start()

    def _run(self, peer: Peer, number: int) -> None:
        try:
            first, body = peer.packet()
            assert first == CONNECT
            peer.level = body[6]
            self.levels.append(peer.level)
            self._script(peer, number)
        except (EOFError, OSError, ValueError, IndexError):
            pass
        finally:
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

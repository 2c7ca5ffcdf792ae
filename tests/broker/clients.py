"""Small MQTT clients for tests of brokers."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

WAIT_S = 10.0


def until(condition: Callable[[], bool], timeout_s: float = WAIT_S) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Client:
    """A connected paho client that remembers what it received."""

    def __init__(
        self,
        port: int,
        client_id: str,
        *,
        user: str | None = None,
        password: str | None = None,
        will: tuple[str, bytes] | None = None,
        clean: bool = True,
        protocol: Any = mqtt.MQTTv311,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.received: list[tuple[str, bytes, bool]] = []
        self.refused: str | None = None
        self.lost = False
        """Whether a connection ended that the broker had accepted, for whatever reason."""
        self._connected = threading.Event()
        self._acknowledged: dict[int, list[Any]] = {}
        options: dict[str, Any] = {} if protocol == mqtt.MQTTv5 else {"clean_session": clean}
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=protocol, **options)
        if user is not None:
            self.paho.username_pw_set(user, password)
        if tls is not None:
            self.paho.tls_set_context(tls)
        if will is not None:
            self.paho.will_set(will[0], will[1], qos=1, retain=True)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = self._on_message
        self.paho.on_subscribe = self._on_answer
        self.paho.on_publish = self._on_answer
        self.paho.connect("127.0.0.1", port, keepalive=30)
        self.paho.loop_start()
        until(lambda: self._connected.is_set() or self.refused is not None)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
            self.paho.disconnect()
        else:
            self._connected.set()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self.lost = self.connected

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.received.append((message.topic, bytes(message.payload), message.retain))

    def _on_answer(self, _client: Any, _data: Any, mid: int, reasons: Any, _properties: Any) -> None:
        self._acknowledged[mid] = reasons if isinstance(reasons, list) else [reasons]

    @property
    def connected(self) -> bool:
        """Whether the broker let it in."""
        return self._connected.is_set()

    def subscribe(self, topic: str) -> list[Any]:
        """Subscribe with QoS 1 and give the broker's answers."""
        _, mid = self.paho.subscribe(topic, qos=1)
        assert mid is not None
        return self._answer(mid)

    def publish(self, topic: str, payload: bytes = b"", *, retain: bool = False) -> list[Any]:
        """Publish with QoS 1 and give the broker's answer."""
        return self._answer(self.paho.publish(topic, payload, qos=1, retain=retain).mid)

    def _answer(self, mid: int) -> list[Any]:
        assert until(lambda: mid in self._acknowledged), "the broker did not answer"
        return self._acknowledged.pop(mid)

    def got(self, topic: str, timeout_s: float = WAIT_S) -> bool:
        """Whether a message of `topic` arrives in time."""
        return until(lambda: any(name == topic for name, _, _ in self.received), timeout_s)

    def cut(self) -> None:
        """Lose the connection without a goodbye, so that the last will is sent."""
        connection = self.paho.socket()
        assert isinstance(connection, socket.socket)
        self.paho.loop_stop()
        # With a linger of 0 the kernel resets the connection instead of closing it.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def close(self) -> None:
        """Say goodbye."""
        self.paho.disconnect()
        self.paho.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _remaining(length: int) -> bytes:
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (128 if length else 0))
        if not length:
            return bytes(out)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("!H", len(encoded)) + encoded


@contextmanager
def many(port: int, count: int) -> Iterator[list[socket.socket]]:
    """`count` open MQTT 3.1.1 connections on bare sockets (paho's own loop stops at descriptor 1,023)."""
    sockets: list[socket.socket] = []
    try:
        for number in range(count):
            body = _text("MQTT") + bytes([4, 2]) + struct.pack("!H", 0) + _text(f"many-{number}")
            connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
            sockets.append(connection)
            connection.sendall(b"\x10" + _remaining(len(body)) + body)
        for connection in sockets:
            answer = connection.recv(4)
            assert answer == b"\x20\x02\x00\x00", f"CONNACK {answer!r}"
        yield sockets
    finally:
        for connection in sockets:
            connection.close()


def publish_raw(connection: socket.socket, topic: str, payload: bytes) -> None:
    """Publish with QoS 1 on a bare connection and wait for the PUBACK."""
    body = _text(topic) + struct.pack("!H", 1) + payload
    connection.sendall(b"\x32" + _remaining(len(body)) + body)
    assert connection.recv(4) == b"\x40\x02\x00\x01"

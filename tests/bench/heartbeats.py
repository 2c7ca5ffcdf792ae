"""Heartbeats at a steady rate, in a process of its own.

`python -m tests.bench.heartbeats PORT FIRST COUNT RATE SECONDS`: one connection speaks for all devices from
number FIRST on, with ready-made packets of QoS 1; the broker's acknowledgements are read and counted. Prints
one JSON line: what was sent and acknowledged, and by how much it fell behind.
"""

import json
import selectors
import socket
import sys
import time

from tests.bench.city import name, place

TURN_S = 0.01


def _packet(topic: bytes, payload: bytes, mid: int) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + mid.to_bytes(2, "big") + payload
    length, size = bytearray(), len(body)
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (128 if size else 0))
        if not size:
            return b"\x32" + bytes(length) + body


def _connected(port: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port))
    client = b"bench-heartbeats"
    peer.sendall(bytes([0x10, 12 + len(client)]) + b"\0\4MQTT\4\2\0\0" + bytes([0, len(client)]) + client)
    if peer.recv(4) != b"\x20\2\0\0":
        raise ConnectionError("the broker refuses")
    return peer


def run(port: int, first: int, count: int, rate: int, seconds: float) -> dict[str, float]:
    """Beat for devices `first` to `count` in turn, `rate` a second, for so many seconds."""
    topics = [
        "community/{}/{}/{}/heartbeat".format(*place(device), name(device)).encode()
        for device in range(first, count)
    ]
    peer = _connected(port)
    peer.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE)
    begin = time.monotonic()
    sent = answered = 0
    latest = 0.0
    waiting = memoryview(b"")
    while (passed := time.monotonic() - begin) < seconds or waiting:
        due = int(min(passed, seconds) * rate)
        if not waiting and due > sent:
            until = min(due, sent + rate // 10)
            latest = max(latest, passed - sent / rate)
            now_ms = time.time_ns() // 1_000_000
            waiting = memoryview(
                b"".join(
                    _packet(topics[n % len(topics)], b'{"ts":%d,"seq":%d}' % (now_ms, n), n % 60_000 + 1)
                    for n in range(sent, until)
                )
            )
            sent = until
        selector.modify(peer, selectors.EVENT_READ | (selectors.EVENT_WRITE if waiting else 0))
        for _, mask in selector.select(TURN_S):
            if mask & selectors.EVENT_READ:
                answered += len(peer.recv(1 << 20))
            if mask & selectors.EVENT_WRITE and waiting:
                waiting = waiting[peer.send(waiting) :]
    peer.setblocking(True)
    peer.settimeout(10)
    while answered < 4 * sent:
        answered += len(peer.recv(1 << 20))
    peer.sendall(b"\xe0\0")
    peer.close()
    return {"sent": sent, "seconds": time.monotonic() - begin, "latest_s": latest}


if __name__ == "__main__":
    port, first, count, rate, seconds = map(int, sys.argv[1:])
    print(json.dumps(run(port, first, count, rate, seconds)))

"""A paho client that finds many messages in the stream at once.

paho reads a packet at a time, 27 µs for a message. `BatchClient` takes all that has arrived, goes from packet
to packet by their lengths, and works out for all together where topics and payloads lie; every packet that is
no PUBLISH, and whatever looks unusual, goes to paho's own handler in its place in the stream. It relies on
private parts of paho: the version is pinned, and tests hold on to each part and to the same result as paho's
own reader on the same bytes.
"""

from typing import Any

import numpy as np
from paho.mqtt.client import Client, time_func
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

from collector.client import V5, BufferedClient
from collector.received import QOS, Gathering, Places
from pulse.batches import Flags, Ints

CHUNK_BYTES = 262_144
PACKETS_A_TURN = 5_000
"""Gathered before the owner has to take them. paho reads on for as many pieces as it has messages to send,
which after a reconnection would be a whole backlog."""

PUBLISH, TYPE = 0x30, 0xF0
AT_LEAST_ONCE = 0x02
SHORT, LONGEST = 127, 268_435_455
KNOWN_PROPERTIES = 1_024
LONGEST_PROPERTIES = 128
"""With the byte that tells their length; nobody sends the same longer ones again and again."""


class BatchClient(BufferedClient):
    """Puts plain messages into `gathered`, which its owner empties; the others reach `on_message`.

    `on_message` has to put its messages into `gathered` too, so that all are in the order of delivery.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gathered = Gathering()
        self._rest = b""
        self._known_properties: set[bytes] = set()

    def _packet_read(self) -> MQTTErrorCode:
        if self._in_packet["command"]:
            return super()._packet_read()
        if len(self.gathered) >= PACKETS_A_TURN:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        if self._read:
            chunk = bytes(self._read)
            self._read = memoryview(b"")
        else:
            try:
                chunk = Client._sock_recv(self, CHUNK_BYTES)
            except BlockingIOError:
                return MQTTErrorCode.MQTT_ERR_AGAIN
            except OSError:
                return MQTTErrorCode.MQTT_ERR_CONN_LOST
            if not chunk:
                return MQTTErrorCode.MQTT_ERR_CONN_LOST
        result = self._cut(self._rest + chunk if self._rest else chunk)
        with self._msgtime_mutex:
            self._last_bytes_received = time_func()
        return result

    def _cut(self, data: bytes) -> MQTTErrorCode:
        """Take every whole packet out of `data` and keep the rest."""
        self._rest = b""
        begins, at = _begins(data)
        begins.append(at)
        result = self._take(data, np.array(begins, dtype=np.int64))
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS or self.socket() is None:
            return result
        length, body = _length(data, at + 1)
        if length > LONGEST:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if body and length > CHUNK_BYTES:
            # paho collects it piece by piece; joining ever longer strings would take for ever.
            self._read = memoryview(data)[at:]
            return super()._packet_read()
        self._rest = data[at:]
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _take(self, data: bytes, edge: Ints) -> MQTTErrorCode:
        """Gather the packets between the edges in `data`, or let paho handle them, in their order."""
        packets = _Packets(data, edge, with_properties=self.protocol == V5)
        known, taken = self._known_properties, 0
        for at in np.flatnonzero(~packets.plain).tolist():
            properties = packets.properties(at)
            if properties in known:
                continue
            packets.gather(taken, at, self.gathered)
            taken = at + 1
            result = self._hand_over(*packets.whole(at))
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS or self.socket() is None:
                return result
            if properties and len(properties) <= LONGEST_PROPERTIES:
                # paho could read these properties; the same bytes need not be read again.
                if len(known) >= KNOWN_PROPERTIES:
                    known.clear()
                known.add(properties)
        packets.gather(taken, len(edge) - 1, self.gathered)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _hand_over(self, first: int, body: bytes) -> MQTTErrorCode:
        """Let paho handle one packet as if it had read it itself."""
        whole = self._in_packet = _packet()
        whole["command"], whole["have_remaining"] = first, 1
        whole["remaining_length"], whole["packet"] = len(body), bytearray(body)
        try:
            result = self._packet_handle()
        except MalformedPacket:
            result = MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._in_packet = _packet()
        return result


class _Packets:
    """Whole packets in `data`, one between every two edges; where one is `plain` its places are right."""

    def __init__(self, data: bytes, edge: Ints, *, with_properties: bool) -> None:
        buffer = np.frombuffer(data, dtype=np.uint8)

        def byte(at: Ints) -> Ints:
            # Of a packet that is too short for it, any byte.
            return buffer[np.minimum(at, len(data) - 1)].astype(np.int64)

        begin, stop = edge[:-1], edge[1:]
        more = byte(begin + 1) > SHORT
        body = begin + 2 + more
        for place in (2, 3):
            more &= byte(begin + place) > SHORT
            body += more
        flags, topic = byte(begin), body + 2
        topic_end = topic + (byte(body) << 8 | byte(body + 1))
        numbered = flags & QOS == AT_LEAST_ONCE
        mids = np.where(numbered, byte(topic_end) << 8 | byte(topic_end + 1), 0)
        payload = self._properties = topic_end + 2 * numbered
        self._has_properties = np.zeros(len(begin), dtype=bool)
        if with_properties:
            payload = payload + 1 + byte(payload)
        self._data, self._edge, self._body = data, edge, body
        self._places = Places(topic, topic_end, payload, stop, flags, mids)
        self.plain: Flags = (flags & TYPE == PUBLISH) & (numbered | (flags & QOS == 0))
        self.plain &= (stop - body > 4) & (topic < topic_end) & (payload <= stop)
        if with_properties:
            self._has_properties = self.plain & (payload > self._properties + 1)
            self.plain &= ~self._has_properties

    def properties(self, at: int) -> bytes:
        """The properties that keep a packet from being plain, with the byte of their length; empty if it is
        not for these alone.
        """
        if not self._has_properties[at]:
            return b""
        return self._data[self._properties[at] : self._places.payload[at]]

    def whole(self, at: int) -> tuple[int, bytes]:
        """The first byte of a packet, and its body."""
        return int(self._places.flags[at]), self._data[self._body[at] : self._edge[at + 1]]

    def gather(self, start: int, end: int, into: Gathering) -> None:
        """Give away the messages from `start` up to `end`."""
        if start < end:
            first, last = int(self._edge[start]), int(self._edge[end])
            into.add_all(self._data[first:last], self._places.take(slice(start, end)).moved(-first))


def _begins(data: bytes) -> tuple[list[int], int]:
    """Where each whole packet begins, and the first place where none does."""
    begins: list[int] = []
    begin, at, last = begins.append, 0, len(data) - 2
    # Nothing else is done for every packet.
    while at < last:
        begin(at)
        length = data[at + 1]
        if length <= SHORT:
            at += length + 2
        elif data[at + 2] <= SHORT:
            at += length + (data[at + 2] << 7) - 125
        else:
            length, body = _length(data, at + 1)
            at = body + length if body and length <= LONGEST else len(data) + 1
    if at > len(data):
        at = begins.pop()
    elif at == last and data[at + 1] == 0:
        begin(at)
        at += 2
    return begins, at


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A packet's length from the bytes at `at`, and where its body begins: 0 if they are not all there.

    More than `LONGEST` if it is none.
    """
    length = 0
    for place in range(4):
        if at + place >= len(data):
            return 0, 0
        byte = data[at + place]
        length |= (byte & 127) << 7 * place
        if byte <= SHORT:
            return length, at + place + 1
    return LONGEST + 1, at + 4


def _packet() -> Any:
    """A packet of which nothing has been read, in paho's form."""
    return {
        "command": 0,
        "have_remaining": 0,
        "remaining_count": [],
        "remaining_mult": 1,
        "remaining_length": 0,
        "packet": bytearray(),
        "to_process": 0,
        "pos": 0,
    }

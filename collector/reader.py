"""A paho client that cuts many messages out of the stream at once.

paho reads a packet at a time, 27 µs for a message. `BatchClient` takes all that has arrived and cuts the
PUBLISH packets out of it in one loop, below 1 µs each; every other packet, and whatever looks unusual, goes
to paho's own handler in its place in the stream. It relies on private parts of paho: the version is pinned,
and tests hold on to each part and to the same result as paho's own reader on the same bytes.
"""

from typing import Any

from paho.mqtt.client import Client, time_func
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

from collector.client import V5, BufferedClient
from collector.received import Publishes

CHUNK_BYTES = 262_144
PACKETS_A_TURN = 5_000
"""Gathered before the owner has to take them. paho reads on for as many pieces as it has messages to send,
which after a reconnection would be a whole backlog."""

PUBLISH, TYPE = 0x30, 0xF0
AT_MOST_ONCE, AT_LEAST_ONCE, QOS = 0x00, 0x02, 0x06
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
        self.gathered = Publishes()
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

    def _cut(self, data: bytes) -> MQTTErrorCode:  # noqa: PLR0912, PLR0915 - calls cost too much
        """Take every whole packet out of `data` and keep the rest."""
        add_topic, add_payload, add_flags, add_mid = self.gathered.appending()
        known, with_properties = self._known_properties, self.protocol == V5
        self._rest = b""
        at, end = 0, len(data)
        while at + 2 <= end:
            first, length, body = data[at], data[at + 1], at + 2
            if length > SHORT:
                length, body = _length(data, at + 1)
                if not body:
                    break
                if length > LONGEST:
                    return MQTTErrorCode.MQTT_ERR_PROTOCOL
            stop = body + length
            if stop > end:
                if length > CHUNK_BYTES:
                    # paho collects it piece by piece; joining ever longer strings would take for ever.
                    self._read = memoryview(data)[at:]
                    return super()._packet_read()
                break
            at = stop
            unknown = b""
            if first & TYPE == PUBLISH and length > 4:
                topic = body + 2
                follows = topic + (data[body] << 8 | data[body + 1])
                qos, mid = first & QOS, 0
                if qos == AT_LEAST_ONCE and follows + 2 <= stop:
                    mid = data[follows] << 8 | data[follows + 1]
                    payload = follows + 2
                else:
                    payload = follows if qos == AT_MOST_ONCE else stop + 1
                if with_properties and payload < stop:
                    after = payload + 1 + data[payload]
                    properties = data[payload:after]
                    if after <= stop and (after == payload + 1 or properties in known):
                        payload = after
                    else:
                        unknown, payload = properties, stop + 1
                elif with_properties:
                    payload = stop + 1
                if topic < follows and payload <= stop:
                    add_topic(data[topic:follows])
                    add_payload(data[payload:stop])
                    add_flags(first)
                    add_mid(mid)
                    continue
            result = self._hand_over(first, data[body:stop])
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS or self.socket() is None:
                return result
            add_topic, add_payload, add_flags, add_mid = self.gathered.appending()
            if 1 < len(unknown) == unknown[0] + 1 <= LONGEST_PROPERTIES:
                # paho could read these properties; the same bytes need not be read again.
                if len(known) >= KNOWN_PROPERTIES:
                    known.clear()
                known.add(unknown)
        self._rest = data[at:]
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


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A packet's length from the bytes at `at`, and where its body begins: 0 if they are not all there.

    More than `LONGEST` if it is none.
    """
    length = 0
    for place in range(4):
        if at + place == len(data):
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

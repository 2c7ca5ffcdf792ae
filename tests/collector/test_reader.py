"""The batch reader gives what paho's own gives, however the stream is cut; and the parts of paho it uses."""

import inspect
import struct
from importlib.metadata import version
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.client import V5, V311, BufferedClient
from collector.reader import CHUNK_BYTES, PACKETS_A_TURN, BatchClient, _packet
from collector.received import DUP, RETAIN, Gathering, Received

PINGRESP = b"\xd0\x00"


class Stream:
    """A socket that gives its pieces one by one and then has nothing for now."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)

    def recv(self, size: int) -> bytes:
        if not self._pieces:
            raise BlockingIOError
        piece = self._pieces.pop(0)
        if len(piece) > size:
            self._pieces.insert(0, piece[size:])
        return piece[:size]

    def send(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        self._pieces.clear()

    def fileno(self) -> int:
        return 99


def length(size: int) -> bytes:
    out = b""
    while True:
        size, low = size >> 7, size & 127
        out += bytes([low | (128 if size else 0)])
        if not size:
            return out


def publish(
    topic: bytes,
    payload: bytes,
    protocol: MQTTProtocolVersion,
    *,
    qos: int = 1,
    mid: int = 7,
    flags: int = 0,
    properties: bytes = b"\0",
) -> bytes:
    body = struct.pack("!H", len(topic)) + topic + (struct.pack("!H", mid) if qos else b"")
    body += (properties if protocol == V5 else b"") + payload
    return bytes([0x30 | qos << 1 | flags]) + length(len(body)) + body


def suback(mid: int, protocol: MQTTProtocolVersion) -> bytes:
    body = struct.pack("!H", mid) + (b"\0" if protocol == V5 else b"") + b"\1"
    return b"\x90" + length(len(body)) + body


Event = tuple[object, ...]


def heard(
    kind: type[BufferedClient], protocol: MQTTProtocolVersion, pieces: list[bytes]
) -> tuple[list[Event], MQTTErrorCode]:
    """What a client hears in a stream, in order, and how it ended."""
    client = kind(CallbackAPIVersion.VERSION2, "test", protocol=protocol, manual_ack=True)
    events: list[Event] = []
    gathered = client.gathered if isinstance(client, BatchClient) else Gathering()

    def note() -> None:
        events.extend(
            ("message", m.topic, m.payload, m.qos, m.mid, m.retained, m.redelivered) for m in taken()
        )

    def taken() -> list[Received]:
        publishes = gathered.taken(0)
        return [publishes.one(at) for at in range(len(publishes))]

    def on_message(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        flags = message.qos << 1 | (RETAIN if message.retain else 0) | (DUP if message.dup else 0)
        gathered.add(message._topic, bytes(message.payload), flags, message.mid)

    def on_subscribe(_client: Client, _userdata: object, mid: int, *_rest: object) -> None:
        note()
        events.append(("suback", mid))

    client.on_message = on_message
    client.on_subscribe = on_subscribe
    client._sock = cast(Any, Stream(pieces))
    result = MQTTErrorCode.MQTT_ERR_SUCCESS
    for _ in range(sum(map(len, pieces)) + len(pieces) + 10):
        result = client.loop_read()
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            break
    note()
    client._sock = None
    return events, result


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(edges)]


def properties(seconds: int) -> bytes:
    given = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    given.MessageExpiryInterval = seconds
    given.ContentType = "json"
    packed: bytes = given.pack()  # type: ignore[no-untyped-call]
    return packed


ODD = {
    # PUBREL of QoS 2, PUBACK, then what ends a connection: the broker's goodbye, and what it may never send.
    V5: [
        b"\x62\x02\0\7",
        b"\x40\x02\0\1",
        b"\xe0\0",
        b"\xe0\1\x8b",
        b"\xe0\2\x8b\0",
        b"\xf0\0",
        b"\x80\0",
        b"\x36\0",
    ],
    V311: [b"\x62\x02\0\7", b"\x40\x02\0\1", b"\xe0\0", b"\x82\0", b"\x36\0"],
}
MALFORMED = [
    b"\x02\x7f\0",  # an identifier that does not exist
    b"\x05\x02\0\0",  # a length beyond what follows, most times
    b"\x80\x80\x80\x80\1",  # a length that never ends
    b"\x0a\x02\0\0\0\1\x02\0\0\0\2",  # one that may be there once only
    b"\x03\x23\0\0",  # a topic alias, which we never allowed
]


@st.composite
def packets(draw: st.DrawFn, protocol: MQTTProtocolVersion) -> bytes:
    what = draw(st.integers(0, 9))
    if what == 0:
        return PINGRESP
    if what == 1:
        return suback(draw(st.integers(1, 65_535)), protocol)
    if what == 2:
        return draw(st.sampled_from(ODD[protocol]))
    qos = draw(st.sampled_from([0, 1, 1, 1, 2]))
    return publish(
        draw(st.binary(min_size=1, max_size=40) | st.sampled_from([b"community/a/b/c/heartbeat", b"\xff"])),
        draw(st.binary(max_size=300) | st.binary(min_size=16_000, max_size=17_000)),
        protocol,
        qos=qos,
        mid=draw(st.integers(1, 65_535)),
        flags=draw(st.sampled_from([0, 0, 0, RETAIN, DUP])) if qos else draw(st.sampled_from([0, RETAIN])),
        properties=draw(st.sampled_from([b"\0", b"\0", properties(5), properties(6), *MALFORMED])),
    )


@pytest.mark.parametrize("protocol", [V5, V311])
@given(data=st.data())
def test_any_stream_cut_anywhere_is_heard_as_by_paho(
    protocol: MQTTProtocolVersion, data: st.DataObject
) -> None:
    stream = b"".join(data.draw(st.lists(packets(protocol), max_size=20)))
    tail = data.draw(
        st.sampled_from([b"", b"\x32", b"\x32\x80", b"\xf0\x00", b"\x32\x02\x00\x09", b"\x36\x08\0\1a"])
    )
    pieces = cut(stream + tail, data.draw(st.lists(st.integers(0, 1 << 20), max_size=20)))
    try:
        expected = heard(BufferedClient, protocol, pieces)
    except struct.error:
        with pytest.raises(struct.error):
            heard(BatchClient, protocol, pieces)
        return
    assert heard(BatchClient, protocol, pieces) == expected


@pytest.mark.parametrize("protocol", [V5, V311])
def test_a_packet_longer_than_what_is_read_at_once_is_heard_whole(protocol: MQTTProtocolVersion) -> None:
    long = publish(b"long", b"x" * (3 * CHUNK_BYTES), protocol)
    stream = publish(b"a", b"1", protocol) + long + publish(b"b", b"2", protocol, mid=8)
    pieces = [stream[at : at + 60_000] for at in range(0, len(stream), 60_000)]
    events, result = heard(BatchClient, protocol, pieces)
    assert result == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert [(event[1], len(event[2])) for event in events] == [  # type: ignore[arg-type]
        (b"a", 1),
        (b"long", 3 * CHUNK_BYTES),
        (b"b", 1),
    ]


def test_properties_that_repeat_are_read_once() -> None:
    client = BatchClient(CallbackAPIVersion.VERSION2, "test", protocol=V5, manual_ack=True)
    came: list[MQTTMessage] = []
    client.on_message = lambda _client, _userdata, message: came.append(message)
    stream = Stream([publish(b"a", b"%d" % at, V5, properties=properties(5)) for at in range(4)])
    client._sock = cast(Any, stream)
    for _ in range(4):
        client.loop_read()
    assert [message.payload for message in came] == [b"0"]
    publishes = client.gathered.taken(0)
    assert publishes.payloads(np.arange(len(publishes))) == [b"1", b"2", b"3"]
    client._sock = None


def test_the_private_parts_of_paho_are_as_the_reader_knows_them() -> None:
    assert version("paho-mqtt").startswith("2.2.")
    client = Client(CallbackAPIVersion.VERSION2, "test")
    assert client._in_packet == _packet()
    assert {"_in_packet", "_last_bytes_received", "_msgtime_mutex", "_sock"} <= set(vars(client))
    parameters = {
        "_packet_read": ["self"],
        "_packet_handle": ["self"],
        "_packet_queue": ["self", "command", "packet", "mid", "qos", "info"],
        "_sock_recv": ["self", "bufsize"],
    }
    for name, expected in parameters.items():
        assert list(inspect.signature(getattr(Client, name)).parameters) == expected
    assert "self._packet_read()" in inspect.getsource(Client.loop_read)
    assert "self._sock_recv(" in inspect.getsource(Client._packet_read)
    assert "self._packet_handle()" in inspect.getsource(Client._packet_read)
    assert "_last_bytes_received" in inspect.getsource(Client._check_keepalive)


def test_no_more_is_read_in_a_turn_than_its_owner_can_take() -> None:
    """paho reads a piece for each message that it has to send; after a reconnection that are thousands."""
    client = BatchClient(CallbackAPIVersion.VERSION2, "test", protocol=V311, manual_ack=True)
    piece = b"".join(publish(b"a", b"x" * 50, V311) for _ in range(500))
    client._sock = cast(Any, Stream([piece] * 100))
    for mid in range(1, 101):
        client._out_messages[mid] = MQTTMessage(mid)
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert PACKETS_A_TURN <= len(client.gathered) < PACKETS_A_TURN + 500
    client.gathered.taken(0)
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert len(client.gathered) >= PACKETS_A_TURN
    client._sock = None

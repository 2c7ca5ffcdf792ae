"""Batches decoded at once say of every message what the careful decoder says of it alone."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dialects import native
from collector.dialects.many import FEWEST_ALIKE, Many
from collector.received import DUP, RETAIN, Gathering
from pulse.errors import Refused
from pulse.messages import Message
from tests.collector.builders import NOON_US

MOST_BYTES = 2_000
QOS_1 = 0x32


def topic(number: int, channel: str = "heartbeat") -> bytes:
    return f"community/xinjinglou/camera/cam-{number}/{channel}".encode()


def carefully(
    topics: list[bytes], payloads: list[bytes], flags: list[int], *, queued: bool
) -> list[Message | str]:
    """The message at each position, or the reason why there is none."""
    found: list[Message | str] = []
    for at, (name, payload, flag) in enumerate(zip(topics, payloads, flags, strict=True)):
        try:
            found.append(
                native.decode(
                    name.decode(),
                    payload,
                    observed_us=NOON_US + at,
                    retained=bool(flag & RETAIN),
                    queued=queued,
                    max_bytes=MOST_BYTES,
                )
            )
        except UnicodeDecodeError:
            found.append("not_utf8")
        except Refused as refused:
            found.append(refused.reason)
    return found


def check(topics: list[bytes], payloads: list[bytes], flags: list[int], *, queued: bool = False) -> set[int]:
    """Hold a batch against the careful decoder; the positions that were plain."""
    gathering = Gathering()
    for mid, (name, payload, flag) in enumerate(zip(topics, payloads, flags, strict=True), 1):
        gathering.add(name, payload, flag, mid)
    plain = Many(MOST_BYTES).decode(gathering.taken(NOON_US), queued=queued)
    careful = carefully(topics, payloads, flags, queued=queued)
    positions = plain.positions.tolist()
    assert list(plain.columns) == [careful[at] for at in positions]
    assert sorted([*positions, *plain.others]) == list(range(len(topics)))
    assert all(a < b for a, b in pairwise(positions))
    return set(positions)


def beats(count: int, **members: object) -> list[bytes]:
    base = {"ts": NOON_US / 1e6 - 3, "seq": 1, "status": "ok", "temperature": 21.5, "rssi": -60}
    return [json.dumps(base | {"seq": at} | members).encode() for at in range(count)]


def test_ordinary_beats_are_all_plain() -> None:
    payloads = beats(50)
    assert check([topic(at % 7) for at in range(50)], payloads, [QOS_1] * 50, queued=True) == set(range(50))


ODD = [
    b"",
    b"{}",
    b"null",
    b"[1]",
    b'{"ts":1763899200.5,"seq":1,"seq":2}',
    b'{"ts":NaN,"seq":1}',
    b'{"ts":1e999,"seq":1}',
    b'{"ts":-1e308,"seq":1}',
    b'{"ts":9e15,"seq":1}',
    b'{"ts":true,"seq":1}',
    b'{"ts":null,"seq":1}',
    b'{"ts":"2026-11-24T00:00:00Z","seq":1}',
    b'{"ts":1763899200123,"seq":1}',
    b'{"ts":99999999999999999999999999,"seq":1}',
    b'{"ts":1763899200.5,"seq":9223372036854775807}',
    b'{"ts":1763899200.5,"seq":9223372036854775808}',
    b'{"ts":1763899200.5,"seq":1.0}',
    b'{"ts":1763899200.5,"seq":true}',
    b'{"ts":1763899200.5,"seq":1,"status":"fault"}',
    b'{"ts":1763899200.5,"seq":1,"status":"broken"}',
    b'{"ts":1763899200.5,"seq":1,"fault":"E1"}',
    b'{"ts":1763899200.5,"seq":1,"status":null}',
    b'{"ts":1763899200.5,"temperature":18446744073709551616}',
    b'{"ts":1763899200.5,"temperature":1e308}',
    b'{"ts":1763899200.5,"temperature":"warm"}',
    b'{"ts":1763899200.5,"temperature":null}',
    b'{"ts":1763899200.5,"temperature":true}',
    b'{"ts":1763899200.5,"temperature":{"a":1}}',
    b'{"ts":1763899200.5,"temperature":[1]}',
    b'{"ts":1763899200.5,"no good":1}',
    b'{"ts":1763899200.5,"device":1}',
    b'{"ts":1763899200.5,"a":"\\ud800"}',
    b'{"ts":1763899200.5,"a":"\xff"}',
    b'{"ts":1763899200.5,"a":"x:y"}',
    b'{"ts":1763899200.5,"seq":1}\n{"ts":1763899200.5,"seq":1}',
    b'{"ts":1763899200.5,"seq":1} x',
    b'{"ts":1763899200.5,"seq":' + b"1" * 500 + b"}",
    b"[" * 1500,
    b'{"ts":1763899200.5,"a":' * 60,
    b'{"ts":1763899200.5,"pad":"' + b"x" * MOST_BYTES + b'"}',
    b"{" + b",".join(b'"m%d":1' % at for at in range(63)) + b',"ts":1,"seq":2}',
    b"\x00\xff",
]


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_payload_among_ordinary_ones_changes_nothing_for_these(odd: bytes) -> None:
    payloads = [*beats(20), odd, *beats(20)]
    plain = check([topic(at) for at in range(41)], payloads, [QOS_1] * 41)
    assert set(range(41)) - {20} <= plain


@pytest.mark.parametrize("odd", ODD)
def test_many_of_the_same_odd_payload_are_judged_as_one_by_one(odd: bytes) -> None:
    count = FEWEST_ALIKE * 2
    check([topic(at) for at in range(count)], [odd] * count, [QOS_1] * count)


def test_retained_status_and_unknown_topics_are_left_to_the_careful_decoder() -> None:
    topics = [topic(at) for at in range(20)] + [topic(1, "status"), b"community/\xff/a/b/heartbeat", b"x"]
    payloads = [*beats(20), b"online", *beats(2)]
    plain = check(topics, payloads, [QOS_1 | DUP] * 19 + [QOS_1 | RETAIN] + [QOS_1] * 3)
    assert plain == set(range(19))


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1.7e9, 1.8e9),
    st.integers(1_700_000_000_000, 1_800_000_000_000),
    st.integers(0, 100),
)
VALUES = st.one_of(NUMBERS, st.booleans(), st.none(), st.text(max_size=5), st.sampled_from(["ok", "fault"]))
NAMES = st.sampled_from(["ts", "seq", "status", "fault", "temperature", "rssi", "device", "a b", "电压"])


@given(
    st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=4),
    st.lists(NUMBERS, min_size=FEWEST_ALIKE, max_size=30),
    st.booleans(),
)
def test_generated_payloads_are_judged_as_one_by_one(
    kinds: list[dict[str, object]], times: list[float], queued: bool
) -> None:
    payloads = [
        json.dumps(kind | ({"ts": time} if "ts" in kind else {"seq": time})).encode()
        for time in times
        for kind in kinds
    ]
    check([topic(at % 5) for at in range(len(payloads))], payloads, [QOS_1] * len(payloads), queued=queued)


@given(st.lists(st.binary(max_size=30) | st.sampled_from(ODD), min_size=1, max_size=30))
def test_any_bytes_are_judged_as_one_by_one(payloads: list[bytes]) -> None:
    check([topic(at) for at in range(len(payloads))], payloads, [QOS_1] * len(payloads))

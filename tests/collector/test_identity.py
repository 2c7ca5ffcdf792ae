"""Many identities at once are those of one by one, by every byte and by the secret."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import recovery
from collector.dialects.identity import LONGEST, UNKEYED, Identifier
from collector.received import BEHIND
from pulse.stores.relational.database import Database

TOPIC = b"community/xinjinglou/camera/cam-1/heartbeat"
TEXTS = st.one_of(
    st.binary(max_size=20),
    st.binary(min_size=LONGEST - 3, max_size=LONGEST + 3),
    st.sampled_from([b"\0", b"\0\0", b"\0\0\0\0", b"a\0", b"a", b'{"seq":1}']),
)


def many(identifier: Identifier, topics: list[bytes], payloads: list[bytes]) -> list[int]:
    """The identities of messages whose payloads lie one behind the other."""
    end = np.cumsum([len(payload) for payload in payloads])
    begin = end - np.array([len(payload) for payload in payloads], dtype=np.int64)
    shares = np.array([identifier.topic(topic) for topic in topics], dtype=np.uint64).T
    found: list[int] = identifier.of_all(b"".join(payloads) + bytes(BEHIND), begin, end, shares).tolist()
    return found


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=20), st.binary(max_size=4))
def test_many_at_once_are_those_of_one_by_one(messages: list[tuple[bytes, bytes]], secret: bytes) -> None:
    identifier = Identifier(secret)
    alone = [identifier.of(topic, payload) for topic, payload in messages]
    topics, payloads = map(list, zip(*messages, strict=True))
    assert many(identifier, topics, payloads) == alone
    assert all(0 <= identity < 1 << 63 for identity in alone)
    assert len(set(alone)) == len(set(messages))


@given(TEXTS.filter(bool), st.data())
def test_every_bit_counts(payload: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 8 * len(payload) - 1))
    other = bytearray(payload)
    other[at // 8] ^= 1 << at % 8
    assert UNKEYED.of(TOPIC, payload) != UNKEYED.of(TOPIC, bytes(other))
    assert UNKEYED.of(payload, b"") != UNKEYED.of(bytes(other), b"")


def test_bits_of_identities_are_spread_evenly() -> None:
    payloads = [b'{"ts":%d,"seq":%d}' % (1_763_899_200 + at, at) for at in range(4_000)]
    identities = many(UNKEYED, [TOPIC] * len(payloads), payloads)
    assert len(set(identities)) == len(payloads)
    for bit in range(63):
        set_in = sum(identity >> bit & 1 for identity in identities)
        assert abs(set_in - len(payloads) / 2) < 6 * (len(payloads) / 4) ** 0.5, bit


def test_the_time_of_reception_joins_in_where_it_is_given() -> None:
    plain, first, second = (UNKEYED.of(TOPIC, b"", at) for at in (None, 1, 1 + (1 << 32)))
    assert len({plain, first, second, UNKEYED.of(TOPIC, b"", -1)}) == 4


@pytest.mark.parametrize("payload", [b"", b"{}", b"x" * (LONGEST + 1)])
def test_another_secret_gives_another_identity(payload: bytes) -> None:
    assert len({Identifier(secret).of(TOPIC, payload) for secret in (b"", b"a", b"b")}) == 3


def test_the_same_secret_gives_the_same_for_ever() -> None:
    """What is stored is recognised by later versions."""
    identifier = Identifier(bytes(range(32)))
    assert identifier.of(TOPIC, b'{"ts":1763899200.5,"seq":1}') == 2365586750341771471
    assert identifier.of(TOPIC, b"x" * 300, 1_763_899_200_000_000) == 3030922030684542590


def test_an_installation_keeps_the_secret_that_was_made_for_it(tmp_path: Path) -> None:
    found = []
    for name in ("one", "one", "other"):
        with closing(Database(f"sqlite:///{tmp_path / name}.db")) as database:
            database.open()
            with database.write() as connection:
                found.append(recovery.identifier(connection).of(TOPIC, b"{}"))
    assert found[0] == found[1] != found[2]
    assert UNKEYED.of(TOPIC, b"{}") not in found

"""Messages in columns are the messages that were put in."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.batches import MessageColumns, Packing, by_number, columns_of, joined
from pulse.errors import BadInput
from pulse.messages import Channel, Evidence, Message
from tests.collector.builders import beat

INT64 = st.integers(-(2**63), 2**63 - 1)
TIMES = st.integers(-(10**16), 10**16)
MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["here", "there"]),
        st.just("camera"),
        st.sampled_from(Evidence),
        st.sampled_from(Channel),
        TIMES,
        st.none() | TIMES,
        st.booleans(),
        st.booleans(),
        INT64,
        st.none() | INT64,
        st.none() | st.text(max_size=5),
        st.none()
        | st.dictionaries(
            st.sampled_from("xyz"), st.floats(allow_nan=False, width=64), min_size=1, max_size=3
        ),
        INT64,
    ),
    max_size=20,
)


@given(MESSAGES)
def test_columns_hold_every_message(messages: list[Message]) -> None:
    columns = columns_of(messages)
    assert columns == messages
    assert [columns[at] for at in range(len(messages))] == messages
    assert columns_of(columns) is columns
    for device in "abc":
        assert columns.of(device) == [m for m in messages if m.device == device]


@given(MESSAGES)
def test_some_of_the_columns_are_some_of_the_messages(messages: list[Message]) -> None:
    columns = columns_of(messages)
    chosen = [at for at in range(len(messages)) if at % 3]
    chosen.reverse()
    assert columns.take(np.array(chosen, dtype=np.int64)) == [messages[at] for at in chosen]
    assert columns.take(columns.retained) == [m for m in messages if m.retained]
    assert columns[2:5] == messages[2:5]


@given(st.lists(MESSAGES, max_size=4))
def test_joined_columns_are_all_messages_in_order(parts: list[list[Message]]) -> None:
    assert joined([columns_of(part) for part in parts]) == [m for part in parts for m in part]


@given(st.lists(MESSAGES, max_size=4), st.booleans())
def test_bytes_give_the_columns_back(batches: list[list[Message]], one: bool) -> None:
    packing, unpacking = Packing(), Packing()
    columns = [columns_of(messages) for messages in batches]
    if one:
        unpacking = packing
    for batch, body in [(batch, packing.packed(batch)) for batch in (*columns, *columns)]:
        assert unpacking.unpacked(body).with_order(5) == batch.with_order(5)


def test_batches_with_the_same_origins_share_them() -> None:
    packing = Packing()
    bodies = [packing.packed(columns_of([beat(seq=seq)])) for seq in range(2)]
    first, second = map(Packing().unpacked, bodies)
    assert first.origins is second.origins


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 5), max_size=40))
def test_positions_by_number_keep_the_order_of_equals(numbers: list[int]) -> None:
    expected = sorted(range(len(numbers)), key=numbers.__getitem__)
    assert by_number(np.array(numbers, dtype=np.int64)).tolist() == expected


def test_origins_on_a_channel_that_is_none_are_refused() -> None:
    (origin,) = columns_of([beat()]).origins
    known = msgspec.msgpack.encode(tuple(origin))
    body = Packing().packed(columns_of([beat()]))
    assert body.count(known) == 1
    with pytest.raises(BadInput):
        Packing().unpacked(body.replace(known, known[:-1] + b"\x07"))


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x94\x90\x90\x80\x90"])
def test_bytes_that_are_no_batch_are_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        Packing().unpacked(body)


def test_positions_outside_are_refused() -> None:
    columns: MessageColumns = columns_of(())
    with pytest.raises(IndexError):
        columns[0]

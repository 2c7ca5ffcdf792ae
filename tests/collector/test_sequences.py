"""Numbers that devices skip: in columns as one by one, and only of devices that count steadily."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.sequences import STEADY, Sequences, Skip
from pulse.batches import ABSENT, columns_of
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, Device, Terms
from pulse.messages import Message
from tests.collector.builders import NOON_US, beat

NAMES = ("d0", "d1", "d2")


def fleet(*names: str) -> Fleet:
    return Fleet(Device(name, "xinjinglou", "camera", (Terms(EVER, 1),), 0) for name in names)


def took(sequences: Sequences, known: Fleet, messages: list[Message]) -> list[Skip]:
    columns = columns_of(messages)
    where = known.positions([origin.device for origin in columns.origins])
    return sequences.took(columns, known, where, columns.observed.copy())


class OneByOne:
    """The same rule, message by message."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int, int]] = {}

    def took(self, message: Message) -> Skip | None:
        if message.seq is None or message.retained:
            return None
        before, at, steady = self.last.get(message.device, (ABSENT, ABSENT, 0))
        rises = message.seq == before + 1
        self.last[message.device] = (message.seq, message.observed_us, steady + 1 if rises else 0)
        if message.seq > before + 1 and steady >= STEADY:
            return Skip(message.device, at, message.observed_us)
        return None


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([*NAMES, "stranger"]),
                st.sampled_from([1, 1, 1, 1, 1, 1, 1, 0, 2, 40, -3, None]),
                st.sampled_from([False] * 9 + [True]),
            ),
            max_size=40,
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_batches_of_any_cut_tell_what_one_by_one_tells(
    batches: list[list[tuple[str, int | None, bool]]], registry_changes: bool
) -> None:
    sequences, readable, known = Sequences(), OneByOne(), fleet(*NAMES)
    number = dict.fromkeys([*NAMES, "stranger"], 7)
    at = NOON_US
    for batch in batches:
        messages = []
        for device, step, retained in batch:
            at += 1
            number[device] += step or 0
            seq = None if step is None else number[device]
            messages.append(beat(device, at, seq=seq, retained=retained))
        expected = [readable.took(m) for m in messages if m.device != "stranger"]
        found = took(sequences, known, messages)
        assert sorted(found) == sorted(skip for skip in expected if skip is not None)
        if registry_changes:
            known = fleet("a-new-one", *reversed(NAMES))


def test_a_steady_device_that_skips_tells_between_which_messages() -> None:
    sequences, known = Sequences(), fleet("d0")
    counted = [beat("d0", NOON_US + n, seq=n) for n in range(STEADY + 1)]
    assert took(sequences, known, counted) == []
    assert took(sequences, known, [beat("d0", NOON_US + 90, seq=50)]) == [
        Skip("d0", NOON_US + STEADY, NOON_US + 90)
    ]
    # Once is enough to doubt it: it has to prove its steadiness again.
    assert took(sequences, known, [beat("d0", NOON_US + 91, seq=90)]) == []


def test_restarts_strangers_and_times_that_nobody_knows_tell_nothing() -> None:
    sequences, known = Sequences(), fleet("d0")
    counted = [beat("d0", NOON_US + n, seq=n) for n in range(STEADY + 1)]
    took(sequences, known, counted)
    assert took(sequences, known, [beat("d0", NOON_US + 90, seq=0)]) == []
    took(sequences, known, counted)
    columns = columns_of([beat("d0", NOON_US + 90, seq=60)])
    assert sequences.took(columns, known, np.array([0]), np.array([ABSENT])) == []
    assert took(sequences, known, [beat("other", NOON_US + n, seq=n * n) for n in range(20)]) == []
    took(sequences, known, [beat("d0", NOON_US + n, seq=n) for n in range(STEADY + 1)])
    sequences.forget()
    assert took(sequences, known, [beat("d0", NOON_US + 99, seq=99)]) == []

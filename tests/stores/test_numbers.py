"""Numbers of devices beside the file say what a dictionary would."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.stores.sqlite import numbers as module
from pulse.stores.sqlite.numbers import Numbers
from pulse.stores.sqlite.queries import NO_HOUR

names = st.sampled_from([f"d{n}" for n in range(30)])


@pytest.mark.parametrize("recent", [0, 3, 1000])
@given(asked=st.lists(st.lists(names, max_size=8), max_size=12))
def test_each_name_is_asked_for_once(recent: int, asked: list[list[str]]) -> None:
    file: dict[str, int] = {}

    def ask(unknown: Sequence[str]) -> dict[str, int]:
        assert not set(unknown) & set(file)
        return {name: file.setdefault(name, 7 * len(file)) for name in unknown}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RECENT", recent)
        numbers = Numbers()
        for some in asked:
            found = numbers.of(some, ask).tolist()
            assert found == [file[name] for name in some]


@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(-3, 5)), max_size=6), max_size=8))
def test_hours_are_handed_out_where_they_are_later(batches: list[list[tuple[int, int]]]) -> None:
    numbers = Numbers()
    noted: dict[int, int] = {}
    for batch in batches:
        devices, hours = np.array(batch, dtype=np.int64).reshape(len(batch), 2).T
        later = numbers.later_hours(devices, hours)
        expected: dict[int, int] = {}
        for device, hour in batch:
            if hour > max(noted.get(device, NO_HOUR), expected.get(device, NO_HOUR)):
                expected[device] = hour
        assert later == expected
        numbers.note_hours(later)
        noted |= later

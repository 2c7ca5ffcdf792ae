"""What every store takes: looking at many at once says what looking at each says."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.batches import columns_of
from pulse.stores.acceptable import TIME_MAX_US, TIME_MIN_US, WORTH_A_TABLE, Checker, are_acceptable
from tests.stores.samples import message

PLAIN = [message(device=f"d{n}", identity=n, metrics={"t": 1.5}) for n in range(2 * WORTH_A_TABLE)]

IDS = st.one_of(
    st.text(st.sampled_from("aZ09._- \n\0é,=\ud800"), max_size=4),
    st.integers(62, 67).map("x".__mul__),
    st.from_regex(r"[A-Za-z0-9._-]{1,3}", fullmatch=True),
)


@pytest.mark.parametrize("few", [True, False])
@given(name=st.sampled_from(["device", "community", "kind"]), text=IDS, at=st.integers(0, 9))
def test_a_batch_is_acceptable_if_each_id_is(few: bool, name: str, text: str, at: int) -> None:
    changes: dict[str, Any] = {name: text}
    batch = PLAIN[:10] if few else list(PLAIN)
    batch[at] = msgspec.structs.replace(batch[at], **changes)
    assert are_acceptable(columns_of(batch)) == (Checker().why_not(batch[at]) is None)


@pytest.mark.parametrize("at", [0, 17, len(PLAIN) - 1])
@pytest.mark.parametrize(
    "changes",
    [
        {"observed_us": TIME_MAX_US + 1},
        {"observed_us": TIME_MIN_US - 1},
        {"metrics": {"t": float("nan")}},
        {"metrics": {"\ud800": 1.0}},
        {"fault": "\ud800"},
    ],
)
def test_a_batch_with_one_that_is_refused_is_not_acceptable(changes: dict[str, Any], at: int) -> None:
    batch = list(PLAIN)
    assert are_acceptable(columns_of(batch))
    batch[at] = msgspec.structs.replace(batch[at], **changes)
    assert not are_acceptable(columns_of(batch))
    assert Checker().why_not(batch[at]) is not None

"""What both sides hold is told by counts and digests that add up."""

import hashlib
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.clock import DAY_US, HOUR_US, parse_time
from pulse.errors import BadInput
from pulse.sharing.reconciling import (
    NOTHING,
    Holding,
    Verdict,
    add,
    checked,
    checked_day,
    compare,
    day_of,
    of_ids,
    record_id,
    verdict,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
IDS = st.sets(st.integers(0, 2**63 - 1).map(record_id), max_size=30).map(sorted)


def us(text: str) -> int:
    return parse_time(text, "text")


def test_the_digest_is_the_sum_of_the_ids_digests() -> None:
    ids = ["00000000000000ff", "7fffffffffffffff"]
    total = sum(int(hashlib.sha256(one.encode()).hexdigest(), 16) for one in ids) % 2**256
    assert of_ids(ids) == Holding(2, f"{total:064x}")


def test_nothing_has_the_digest_of_zeros() -> None:
    assert of_ids([]) == NOTHING == Holding(0, "0" * 64)


def test_the_sum_begins_anew_at_two_to_the_256th() -> None:
    most = Holding(1, "f" * 64)
    assert add(most, Holding(1, f"{2:064x}")) == Holding(2, f"{1:064x}")


@given(IDS, st.randoms(use_true_random=False))
def test_the_order_in_which_records_came_does_not_matter(ids: list[str], chance: object) -> None:
    shuffled = list(ids)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert of_ids(shuffled) == of_ids(ids)


@given(IDS, st.lists(st.integers(0, 30), max_size=4))
def test_how_records_were_split_into_deliveries_does_not_matter(ids: list[str], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(ids)]
    pieces = [ids[a:b] for a, b in pairwise(edges)]
    assert add(*(of_ids(piece) for piece in pieces)) == of_ids(ids)


@given(IDS, IDS)
def test_other_records_have_another_digest(some: list[str], others: list[str]) -> None:
    assert (of_ids(some) == of_ids(others)) == (some == others)


@given(IDS)
def test_what_was_worked_out_is_accepted_as_stated(ids: list[str]) -> None:
    assert checked(*of_ids(ids)) == of_ids(ids)


def test_the_day_is_the_local_one() -> None:
    assert day_of(us("2026-11-23T15:59:59Z"), 0, SHANGHAI) == "2026-11-23"
    assert day_of(us("2026-11-23T16:00:00Z"), 0, SHANGHAI) == "2026-11-24"


def test_a_record_without_a_time_belongs_to_the_day_of_its_reception() -> None:
    received = us("2026-11-23T08:00:00Z")
    assert day_of(None, received, SHANGHAI) == "2026-11-23"
    assert day_of(received - DAY_US, received, SHANGHAI) == "2026-11-22"


def test_days_around_a_change_of_the_clocks_are_those_of_the_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnight = us("2026-10-24T22:00:00Z")
    assert day_of(midnight, 0, berlin) == day_of(midnight + 25 * HOUR_US - 1, 0, berlin) == "2026-10-25"
    assert day_of(midnight + 25 * HOUR_US, 0, berlin) == "2026-10-26"


@pytest.mark.parametrize("text", ["2026-11-31", "20261123", "2026-1-2", "today", "2026-11-23T00:00:00", ""])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="day"):
        checked_day(text)


@pytest.mark.parametrize(
    ("count", "digest"),
    [(1, "0" * 64), (0, "1" * 64), (-1, "1" * 64), (1, "F" * 64), (1, "f" * 63), (1, "0x" + "f" * 62)],
)
def test_a_holding_that_cannot_be_is_refused(count: int, digest: str) -> None:
    with pytest.raises(BadInput):
        checked(count, digest)


def test_both_sides_are_told_for_every_kind_and_day_that_either_holds() -> None:
    one, other = of_ids(["a" * 16]), of_ids(["b" * 16])
    ours = {("gas", "2026-11-23"): one, ("lock", "2026-11-22"): one, ("door", "2026-11-23"): one}
    theirs = {("gas", "2026-11-23"): one, ("door", "2026-11-23"): other, ("flow", "2026-11-23"): other}
    assert [(d.data_kind, d.day, d.verdict) for d in compare(ours, theirs)] == [
        ("lock", "2026-11-22", Verdict.MISSING_THERE),
        ("door", "2026-11-23", Verdict.DIFFERS),
        ("flow", "2026-11-23", Verdict.MISSING_HERE),
        ("gas", "2026-11-23", Verdict.SAME),
    ]


def test_nothing_stated_of_a_kind_of_which_nothing_was_delivered_is_no_row() -> None:
    assert compare({}, {("gas", "2026-11-23"): NOTHING}) == []


@given(IDS, IDS)
def test_sides_see_each_others_difference_mirrored(some: list[str], others: list[str]) -> None:
    mirror = {Verdict.MISSING_HERE: Verdict.MISSING_THERE, Verdict.MISSING_THERE: Verdict.MISSING_HERE}
    seen = verdict(of_ids(some), of_ids(others))
    assert verdict(of_ids(others), of_ids(some)) == mirror.get(seen, seen)

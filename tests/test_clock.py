"""Times are integer microseconds UTC inside, ISO 8601 outside, and jumps of the wall clock age nothing."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse import clock
from pulse.clock import SystemClock, from_datetime, parse_time, to_iso
from pulse.errors import BadInput

NOON_US = 1_795_435_200_000_000  # 2026-11-23T12:00:00Z
moments_us = st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999)


@pytest.mark.parametrize(
    ("us", "iso"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NOON_US, "2026-11-23T12:00:00Z"),
        (NOON_US + 500_000, "2026-11-23T12:00:00.500Z"),
        (NOON_US + 1, "2026-11-23T12:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_iso_has_the_shortest_exact_fraction(us: int, iso: str) -> None:
    assert to_iso(us) == iso
    assert parse_time(iso, "at") == us


@given(moments_us)
def test_iso_and_back_is_exact(us: int) -> None:
    assert parse_time(to_iso(us), "at") == us


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2026-11-23T20:00:00+08:00", NOON_US),
        ("2026-11-23T20:00:00 08:00", NOON_US),
        ("2026-11-23T20:00:00.250+08:00", NOON_US + 250_000),
        ("2026-11-23T22:00:00 10:00", NOON_US),
        ("2026-11-23T20:00:00.250 0800", NOON_US + 250_000),
        ("2026-11-23T20:00 08", NOON_US),
        ("2026-11-23 20:00:00+08:00", NOON_US),
        ("2026-11-23 20:00:00 08:00", NOON_US),
        ("2026-11-23 12:00:00Z", NOON_US),
        ("2026-11-23T05:00:00-07:00", NOON_US),
        ("1795435200", NOON_US),
        ("1795435200.000001", NOON_US + 1),
        (" 1795435200 ", NOON_US),
        ("-1.5", -1_500_000),
        ("-0.5", -500_000),
        ("+2", 2_000_000),
        ("0", 0),
    ],
)
def test_accepts_iso_with_a_zone_and_epoch_seconds(text: str, us: int) -> None:
    assert parse_time(text, "at") == us


@pytest.mark.parametrize(
    "text",
    [
        *("", "noon", "2026-11-23", "2026-11-23T12:00:00", "2026-11-23 08:00", "2026-13-01T00:00:00Z"),
        *("1e9", "nan", "9" * 30, "9" * 5000, ".", "-", "+-1", "１２３", "0001-01-01T00:00:00+08:00"),
    ],
)
def test_refuses_what_is_no_instant_and_names_the_place(text: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_time(text, "known_at")
    assert raised.value.where == "known_at"
    assert "Z" in str(raised.value)


def test_an_aware_datetime_is_exact_in_any_zone() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert from_datetime(datetime(2026, 11, 23, 20, tzinfo=shanghai)) == NOON_US
    assert from_datetime(datetime(2026, 11, 23, 12, 0, 0, 7, tzinfo=UTC)) == NOON_US + 7


def test_a_step_of_the_wall_clock_does_not_move_time_until_resync(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, monotonic = [NOON_US * 1000], [5_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: monotonic[0])
    ours = SystemClock()
    assert ours.now_us() == NOON_US

    wall[0] += 3600 * 1_000_000_000
    monotonic[0] += 2_000_000_000
    assert ours.now_us() == NOON_US + 2 * clock.SECOND_US
    assert ours.drift_us() == clock.HOUR_US - 2 * clock.SECOND_US

    ours.resync()
    assert ours.now_us() == NOON_US + clock.HOUR_US
    assert ours.drift_us() == 0


def test_time_goes_on() -> None:
    ours = SystemClock()
    assert ours.now_us() <= ours.now_us()
    assert abs(ours.drift_us()) < clock.SECOND_US
    assert ours.monotonic_s() <= ours.monotonic_s()

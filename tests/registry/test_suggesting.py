"""Suggestions fit what was seen: of any rhythm, clock and way of delivery."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.clock import HOUR_US, MINUTE_US, SECOND_US
from pulse.registry.suggesting import LEAST_BEATS, Agreed, Beats, Reason, common, suggest, zone_of

T = 1_795_392_000_000_000
S = SECOND_US
AGREED = Agreed(30 * S, 90 * S)


def beats(
    sent: list[int], *, offset_us: int = 0, late: dict[int, int] | None = None, dated: bool = True
) -> Beats:
    """Beats sent at these times; `late` says by how much some, by position, are received later."""
    rows = sorted((at + 50_000 + (late or {}).get(n, 0), at + offset_us) for n, at in enumerate(sent))
    observed, measured = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Beats(observed, measured, np.full(len(rows), dated))


def every(interval_us: int, count: int = 400) -> list[int]:
    return [T + n * interval_us for n in range(count)]


@given(
    st.sampled_from([1, 5, 10, 30, 60, 90, 300, 900]),
    st.lists(st.integers(-100_000, 100_000), min_size=200, max_size=300),
    st.integers(-12 * HOUR_US, 12 * HOUR_US) | st.integers(-20 * S, 20 * S),
    st.booleans(),
)
def test_a_steady_device_gets_its_rhythm_whatever_its_clock_says(
    interval_s: int, jitter: list[int], offset_us: int, dated: bool
) -> None:
    sent = [T + n * interval_s * S + off for n, off in enumerate(jitter)]
    found = suggest(beats(sent, offset_us=offset_us, dated=dated), AGREED)
    assert found is not None
    assert found.interval_us == interval_s * S
    assert 3 * interval_s * S <= found.timeout_us <= 5 * interval_s * S
    assert found.max_lateness_us == 0
    assert found.alive >= 0.999
    if dated:
        assert found.clock_untrusted == (abs(offset_us - 50_000) > 30 * S)
        assert found.seen.skew_p50_us == pytest.approx(offset_us, abs=S)
    else:
        assert (found.clock_untrusted, found.seen.skew_p50_us) == (None, None)


@given(st.integers(1, 6 * 60), st.integers(3, 200), st.integers(-10, 10))
def test_buffered_delivery_is_told_from_a_clock_that_is_behind(
    minutes: int, count: int, offset_h: int
) -> None:
    late = dict.fromkeys(range(50, 50 + count), minutes * MINUTE_US)
    found = suggest(beats(every(30 * S, 1000), offset_us=offset_h * HOUR_US, late=late), AGREED)
    assert found is not None
    assert found.interval_us == 30 * S
    assert found.timeout_us == 90 * S
    assert found.clock_untrusted == (offset_h != 0)
    assert found.seen.zone_us == (offset_h * HOUR_US or None)
    if count >= 10:
        assert Reason.BUFFERS in found.reasons
        assert minutes * MINUTE_US <= found.max_lateness_us <= 2 * minutes * MINUTE_US + 30 * MINUTE_US
    else:
        assert found.max_lateness_us == 0


@given(st.lists(st.integers(1, 2000), min_size=LEAST_BEATS, max_size=200), st.integers(1, 500))
def test_shares_are_shares_and_a_longer_timeout_never_covers_less(gaps: list[int], timeout_s: int) -> None:
    sent = np.cumsum(np.array([0, *gaps], dtype=np.int64)) * S + T
    before = suggest(beats(sent.tolist()), Agreed(None, timeout_s * S))
    longer = suggest(beats(sent.tolist()), Agreed(None, 2 * timeout_s * S))
    assert before is not None
    assert longer is not None
    for share in (before.seen.alive, before.alive, before.seen.beyond_timeout, before.seen.late):
        assert 0 <= share <= 1
    assert longer.seen.alive >= before.seen.alive
    assert longer.seen.beyond_timeout <= before.seen.beyond_timeout
    assert before.timeout_us >= 2.5 * before.seen.interval_p50_us
    assert before._replace(seen=longer.seen) == longer


@given(st.integers(0, LEAST_BEATS - 1))
def test_too_few_beats_give_no_suggestion(count: int) -> None:
    empty = np.array([], dtype=np.int64)
    few = beats(every(S, count)) if count else Beats(empty, empty, empty.astype(bool))
    assert suggest(few, AGREED) is None


def test_gaps_in_which_nobody_could_hear_say_nothing() -> None:
    sent = every(30 * S, 100) + [at + 4000 * S for at in every(30 * S, 100)]
    deaf = [(T + 100 * 30 * S, T + 3900 * S)]
    heard, unheard = suggest(beats(sent), AGREED), suggest(beats(sent), AGREED, deaf)
    assert heard is not None
    assert unheard is not None
    assert heard.seen.beyond_timeout > 0
    assert unheard.seen.beyond_timeout == 0
    assert unheard.alive == 1.0


def test_a_device_with_longer_gaps_gets_a_longer_timeout_but_outages_stay_outages() -> None:
    sent = [at for n, at in enumerate(every(30 * S, 1000)) if n % 20 not in (3, 4, 5, 6)]
    found = suggest(beats(sent), AGREED)
    assert found is not None
    assert found.timeout_us == 240 * S
    assert Reason.USUAL_GAPS in found.reasons
    assert found.seen.beyond_timeout == pytest.approx(50 / 799, abs=0.001)
    assert found.alive > found.seen.alive
    hours = [at + (n // 100) * 3 * HOUR_US for n, at in enumerate(every(30 * S, 1000))]
    outages = suggest(beats(hours), AGREED)
    assert outages is not None
    assert outages.timeout_us == 90 * S


@pytest.mark.parametrize(
    ("offset_us", "zone_us"),
    [
        (8 * HOUR_US + 3 * S, 8 * HOUR_US),
        (-5 * HOUR_US - 30 * MINUTE_US, -5 * HOUR_US - 30 * MINUTE_US),
        (20 * MINUTE_US, None),
        (8 * HOUR_US + 5 * MINUTE_US, None),
        (15 * HOUR_US, None),
        (0, None),
    ],
)
def test_an_offset_that_looks_like_a_time_zone_is_named(offset_us: int, zone_us: int | None) -> None:
    assert zone_of(offset_us) == zone_us


def test_a_kind_gets_what_fits_most_and_not_what_one_device_does() -> None:
    steady = [suggest(beats(every(30 * S)), AGREED) for _ in range(8)]
    wrong = suggest(beats(every(30 * S), offset_us=8 * HOUR_US), AGREED)
    late = suggest(beats(every(30 * S), late=dict.fromkeys(range(9, 99), 600 * S)), AGREED)
    whole = common([one for one in (*steady, wrong, late) if one is not None])
    assert whole is not None
    assert (whole.interval_us, whole.timeout_us) == (30 * S, 90 * S)
    assert (whole.max_lateness_us, whole.clock_untrusted) == (0, False)
    assert whole.seen.beats == 4000
    assert common([]) is None

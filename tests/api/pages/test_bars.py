"""What is drawn is in proportion, and what is rare stays visible."""

from hypothesis import given
from hypothesis import strategies as st

from api.pages.bars import BAR, LEAST, ORDER, bar, day_marks
from pulse.clock import MINUTE_US
from pulse.ledger.model import State


@given(st.dictionaries(st.sampled_from([state.slug for state in ORDER]), st.integers(0, 10**7)))
def test_segments_fill_the_bar_without_gaps_and_show_every_state_there_is(states: dict[str, int]) -> None:
    segments = bar(states)
    there = [state.slug for state in ORDER if states.get(state.slug)]
    assert [segment.slug for segment in segments] == there
    position = 0
    for segment in segments:
        assert segment.start == position
        assert segment.width >= LEAST
        position += segment.width
    assert position == (BAR if there else 0)


def test_a_bar_is_in_proportion() -> None:
    online, down = bar({"online": 750, "offline": 250})
    assert (online.width, down.width) == (750, 250)


def test_a_days_strip_shows_what_was_not_online_and_short_gaps_as_two_minutes() -> None:
    stretches = [
        (State.ONLINE, 0, 60 * MINUTE_US),
        (State.OFFLINE, 60 * MINUTE_US, 90 * MINUTE_US),
        (State.ONLINE, 90 * MINUTE_US, 100 * MINUTE_US),
        (State.FAULT, 100 * MINUTE_US, 100 * MINUTE_US + 5),
    ]
    marks = day_marks(stretches, 0, MINUTE_US)
    assert [(m.slug, m.start, m.width) for m in marks] == [("offline", 60.0, 30.0), ("fault", 100.0, 2.0)]


def test_a_device_that_flaps_all_day_is_drawn_with_no_more_marks_than_pixels() -> None:
    second = MINUTE_US // 60
    flapping = [
        (State.OFFLINE if n % 2 else State.ONLINE, n * second, (n + 1) * second) for n in range(86_400)
    ]
    assert len(day_marks(flapping, 0, MINUTE_US)) <= 24 * 60

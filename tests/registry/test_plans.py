"""Plans of maintenance: windows once or by weekdays and local times, and what is refused."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.clock import DAY_US, HOUR_US, MINUTE_US, parse_time
from pulse.errors import BadInput
from pulse.registry import plans
from pulse.registry.plans import DAY_MIN, EVERY_DAY, Plan, Reach, Weekly

SHANGHAI, BERLIN = "Asia/Shanghai", "Europe/Berlin"


def us(text: str) -> int:
    return parse_time(text, "")


MONDAY = us("2026-11-23T00:00:00+08:00")
ONCE = Plan(Reach(community="south"), MONDAY, MONDAY + 2 * HOUR_US, "换电池")
WEEKLY = ONCE._replace(end=MONDAY + 14 * DAY_US, weekly=Weekly((1, 4), 22 * 60, 2 * 60, SHANGHAI))


def said(windows: list[plans.Window], zone: str = SHANGHAI) -> list[str]:
    """Windows by local time."""

    def local(at_us: int) -> datetime:
        return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(ZoneInfo(zone))

    return [f"{local(start):%m-%d %H:%M} {local(end):%m-%d %H:%M}" for start, end in windows]


def test_a_plan_without_weekdays_is_one_window() -> None:
    assert plans.windows(ONCE) == [(ONCE.start, ONCE.end)]


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    assert said(plans.windows(WEEKLY)) == [
        "11-23 22:00 11-24 02:00",
        "11-26 22:00 11-27 02:00",
        "11-30 22:00 12-01 02:00",
        "12-03 22:00 12-04 02:00",
    ]


def test_windows_are_clipped_to_the_plan_and_the_night_before_reaches_in() -> None:
    plan = WEEKLY._replace(start=us("2026-11-24T01:00:00+08:00"), end=us("2026-11-26T23:00:00+08:00"))
    assert said(plans.windows(plan)) == ["11-24 01:00 11-24 02:00", "11-26 22:00 11-26 23:00"]


def test_equal_times_are_a_whole_day() -> None:
    plan = WEEKLY._replace(weekly=Weekly((7,), 0, 0, SHANGHAI))
    assert said(plans.windows(plan)) == ["11-29 00:00 11-30 00:00", "12-06 00:00 12-07 00:00"]


@pytest.mark.parametrize(
    ("day", "begins", "ends", "lasting_us"),
    [
        ("2026-03-29", "01:00", "04:00", 2 * HOUR_US),  # an hour is left out
        ("2026-10-25", "01:00", "04:00", 4 * HOUR_US),  # an hour comes twice
        ("2026-03-29", "02:10", "02:50", 40 * MINUTE_US),  # inside of the hour that is left out
        ("2026-10-25", "02:30", "03:30", 2 * HOUR_US),  # from the first of the two
    ],
)
def test_local_times_stay_over_a_change_of_summer_time(
    day: str, begins: str, ends: str, lasting_us: int
) -> None:
    zone = ZoneInfo(BERLIN)
    start = int(datetime.fromisoformat(day).replace(tzinfo=zone).timestamp()) * 1_000_000
    weekly = Weekly(EVERY_DAY, plans.minute_of(begins, ""), plans.minute_of(ends, ""), BERLIN)
    plan = ONCE._replace(start=start, end=start + 20 * HOUR_US, weekly=weekly)
    ((low, high),) = plans.windows(plan)
    assert high - low == lasting_us


def test_a_window_that_ends_in_the_hour_left_out_before_it_begins_is_none() -> None:
    start = us("2026-03-29T00:00:00+01:00")
    weekly = Weekly(EVERY_DAY, 2 * 60 + 30, 3 * 60, BERLIN)
    assert plans.windows(ONCE._replace(start=start, end=start + DAY_US // 2, weekly=weekly)) == []


weeklies = st.builds(
    Weekly,
    st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
    st.integers(0, DAY_MIN - 1),
    st.integers(0, DAY_MIN - 1),
    st.sampled_from([SHANGHAI, BERLIN, "UTC", "America/St_Johns", "Pacific/Apia"]),
)
_BEGIN = us("2026-01-01T00:00:00Z")
spans = st.tuples(st.integers(_BEGIN, _BEGIN + 400 * DAY_US), st.integers(1, plans.MOST_DAYS * DAY_US)).map(
    lambda span: (span[0], span[0] + span[1])
)


@given(weeklies, spans)
def test_windows_are_in_order_bounded_and_within_the_plan(weekly: Weekly, span: tuple[int, int]) -> None:
    found = plans.windows(ONCE._replace(start=span[0], end=span[1], weekly=weekly))
    assert len(found) <= plans.MOST_DAYS + 2
    assert all(span[0] <= start < end <= span[1] for start, end in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))


@given(weeklies, spans, st.integers(0, plans.MOST_DAYS * DAY_US))
def test_an_instant_is_in_a_window_as_its_local_time_says(
    weekly: Weekly, span: tuple[int, int], offset: int
) -> None:
    at_us = min(span[0] + offset, span[1] - 1)
    plan = ONCE._replace(start=span[0], end=span[1], weekly=weekly)
    local = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(ZoneInfo(weekly.zone))
    changes = {(local + timedelta(days=days)).utcoffset() for days in (-2, -1, 0, 1, 2)}
    if len(changes) > 1:
        return  # what a change of summer time does is told above
    minute = local.hour * 60 + local.minute
    overnight = weekly.ends_min <= weekly.begins_min

    def begins(day: date) -> bool:
        return day.isoweekday() in weekly.days

    today, yesterday = local.date(), local.date() - timedelta(days=1)
    expected = begins(today) and weekly.begins_min <= minute and (overnight or minute < weekly.ends_min)
    expected = expected or (overnight and begins(yesterday) and minute < weekly.ends_min)
    assert (plans.window_at(plan, at_us) is not None) == expected


@given(weeklies, spans)
def test_a_plan_cut_in_two_has_the_same_windows(weekly: Weekly, span: tuple[int, int]) -> None:
    plan = ONCE._replace(start=span[0], end=span[1], weekly=weekly)
    middle = (span[0] + span[1]) // 2
    parts = plans.windows(plan._replace(end=middle)) + plans.windows(plan._replace(start=middle))
    whole = plans.windows(plan)
    assert sum(end - start for start, end in parts) == sum(end - start for start, end in whole)


@pytest.mark.parametrize(
    ("plan", "where"),
    [
        (ONCE._replace(reach=Reach()), "scope"),
        (ONCE._replace(reach=Reach(building="3")), "building"),
        (ONCE._replace(reach=Reach(community="south", building=" ")), "building"),
        (ONCE._replace(reach=Reach(tag="a\nb")), "tag"),
        (ONCE._replace(reach=Reach(device="cam-1", kind="camera")), "device"),
        (ONCE._replace(reach=Reach(kind="no id")), "kind"),
        (ONCE._replace(end=ONCE.start), "to"),
        (ONCE._replace(end=ONCE.start + 733 * DAY_US), "to"),
        (ONCE._replace(start=-1), "from"),
        (ONCE._replace(end=plans.LATEST_US + 1), "to"),
        (ONCE._replace(reason=" \n "), "reason"),
        (ONCE._replace(reason="x" * 501), "reason"),
        (WEEKLY._replace(weekly=Weekly((), 0, 60, SHANGHAI)), "weekdays"),
        (WEEKLY._replace(weekly=Weekly((0, 8), 0, 60, SHANGHAI)), "weekdays"),
        (WEEKLY._replace(weekly=Weekly((1,), 0, 1440, SHANGHAI)), "daily_to"),
        (WEEKLY._replace(weekly=Weekly((1,), -1, 60, SHANGHAI)), "daily_from"),
        (WEEKLY._replace(weekly=Weekly((1,), 0, 60, "Mars/Olympus")), "zone"),
        (WEEKLY._replace(end=MONDAY + DAY_US, weekly=Weekly((3,), 0, 60, SHANGHAI)), "weekdays"),
    ],
)
def test_what_cannot_be_is_refused_by_member(plan: Plan, where: str) -> None:
    with pytest.raises(BadInput) as refused:
        plans.checked(plan)
    assert refused.value.where == where


def test_a_plan_is_kept_with_its_reason_trimmed_and_weekdays_in_order() -> None:
    plan = plans.checked(WEEKLY._replace(reason=" 换\n电池 ", weekly=Weekly((4, 1, 4), 0, 60, SHANGHAI)))
    assert plan.reason == "换 电池"
    assert plan.weekly == Weekly((1, 4), 0, 60, SHANGHAI)


@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("7:05", 425), ("23:59", 1439), ("24:00", 0)])
def test_times_of_day_are_read(text: str, minute: int) -> None:
    assert plans.minute_of(text, "daily_from") == minute


@pytest.mark.parametrize("text", ["", "7", "7:5", "24:01", "12:60", "-1:00", "١٢:٠٠x", "noon"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="daily_from"):
        plans.minute_of(text, "daily_from")


def test_approval_is_needed_once_the_first_window_began_longer_ago_than_is_allowed() -> None:
    now = WEEKLY.start
    late = plans.begins_us(WEEKLY)
    assert not plans.needs_approval(WEEKLY, now, 0)
    assert not plans.needs_approval(WEEKLY, late + HOUR_US, HOUR_US)
    assert plans.needs_approval(WEEKLY, late + HOUR_US + 1, HOUR_US)


def test_a_fingerprint_tells_plans_apart() -> None:
    others = [ONCE, WEEKLY, ONCE._replace(reason="b"), ONCE._replace(reach=Reach(kind="south"))]
    assert len({plans.fingerprint(plan) for plan in others}) == len(others)
    assert plans.fingerprint(ONCE) == plans.fingerprint(Plan(*ONCE))

"""The page of one device: its state, why it is so, and its last seven days."""

from datetime import date, timedelta
from typing import Any, NamedTuple

from api import detail
from api.context import Context
from api.pages.bars import Mark, day_marks
from api.pages.board import Names, read_names
from api.pages.labels import Labels
from api.pages.words import Times
from api.params import Moment
from pulse.access.showing_lives import life
from pulse.clock import MINUTE_US, parse_time
from pulse.indicators.books import AsOf
from pulse.indicators.within import Within
from pulse.ledger.model import State

DAYS = 7
_SHOWN_CHANGES = 20
_BY_SLUG = {state.slug: state for state in State}


class Day(NamedTuple):
    """A day's strip: what was not online, and the minutes that are over, of `minutes` in all."""

    day: date
    marks: list[Mark]
    first: float
    last: float
    minutes: int


class Change(NamedTuple):
    """A stretch of one state; `end_us` None while it lasts, `is_cut` if it began before these days."""

    state: str
    start_us: int
    end_us: int | None
    length_us: int
    is_cut: bool


class Heard(NamedTuple):
    """A message as the evidence table shows it, times in microseconds."""

    observed_us: int
    measured_us: int | None
    item: dict[str, Any]


class Story(NamedTuple):
    """All that the page shows; `answer` is what the API says of the device."""

    answer: dict[str, Any]
    names: Names
    at_us: int
    since_us: int | None
    evidence_us: int | None
    deadline_us: int | None
    window_from_us: int | None
    window_to_us: int | None
    messages: list[Heard]
    days: list[Day]
    changes: list[Change]
    online_share: float | None
    """Share of the known, commissioned time of these days in which it was online."""
    as_of: AsOf
    life: dict[str, Any]
    """What happened to it, as the API tells it."""

    @property
    def is_said_again(self) -> bool:
        """Whether it was offline before, then unknown, and is offline again without having been heard."""
        return (
            self.answer["cause"] == "deadline_passed"
            and self.since_us is not None
            and self.deadline_us is not None
            and self.since_us > self.deadline_us
        )

    @property
    def share_text(self) -> str:
        """The share in percent, cut rather than rounded, so that only all is 100."""
        tenths = int((self.online_share or 0.0) * 1000)
        return f"{tenths // 10}.{tenths % 10}"

    @staticmethod
    def text(at: str | None, times: Times) -> str:
        """A time of the API's answer as people read it."""
        return "—" if at is None else times.full(parse_time(at, "time"))

    @staticmethod
    def clock(at: str | None, times: Times) -> str:
        """The hour of a time of the API's answer, `…` where it is open."""
        return "…" if at is None else times.clock(parse_time(at, "time"))

    @staticmethod
    def spoken(day: Day, labels: Labels) -> str:
        """The states of a day in words."""
        slugs = dict.fromkeys(mark.slug for mark in day.marks) or ["online"]
        return ", ".join(labels.state(slug) for slug in slugs)


def story(context: Context, device_id: str, times: Times, within: Within) -> Story | None:
    """Gather a device's page, None when none of the communities `within` has it."""
    answer = detail.device(context, device_id, Moment(None, None), within)
    if answer is None:
        return None
    at_us = parse_time(answer["at"], "at")
    first_day = times.day(at_us) - timedelta(days=DAYS - 1)
    from_us = times.day_start_us(first_day)
    stretches = [
        (_BY_SLUG[stretch.state], stretch.start_us, stretch.end_us)
        for stretch in context.rate.timeline(device_id, from_us, at_us)
    ]
    window = answer["window"]
    with context.db.read() as connection:
        lived = life(connection, device_id, within)
    return Story(
        answer=answer,
        names=read_names(context, within),
        at_us=at_us,
        since_us=_us(answer["since"]),
        evidence_us=_us(answer["evidence_at"]),
        deadline_us=_us(answer["deadline"]),
        window_from_us=_us(window and window["from"]),
        window_to_us=_us(window and window["to"]),
        messages=[
            Heard(parse_time(m["observed_at"], "observed_at"), _us(m["measured_at"]), m)
            for m in answer["messages"]
        ],
        days=[_day(first_day + timedelta(days=n), stretches, at_us, times) for n in range(DAYS)],
        changes=[
            Change(state.slug, start, None if end >= at_us else end, end - start, start <= from_us)
            for state, start, end in reversed(stretches[-_SHOWN_CHANGES:])
        ],
        online_share=_share(stretches),
        as_of=context.rate.as_of(),
        life=lived,
    )


def _us(text: str | None) -> int | None:
    return None if text is None else parse_time(text, "time")


def _day(day: date, stretches: list[tuple[State, int, int]], at_us: int, times: Times) -> Day:
    start_us = times.day_start_us(day)
    end_us = times.day_start_us(day + timedelta(days=1))
    until_us = min(end_us, at_us)
    inside = [
        (state, max(begin, start_us), min(end, until_us))
        for state, begin, end in stretches
        if begin < until_us and end > start_us
    ]
    first = min((begin for _, begin, _ in inside), default=until_us)
    return Day(
        day,
        day_marks(inside, start_us, MINUTE_US),
        round((first - start_us) / MINUTE_US, 1),
        round((until_us - start_us) / MINUTE_US, 1),
        (end_us - start_us) // MINUTE_US,
    )


def _share(stretches: list[tuple[State, int, int]]) -> float | None:
    spent = dict.fromkeys(State, 0)
    for state, start, end in stretches:
        spent[state] += end - start
    known = spent[State.ONLINE] + spent[State.FAULT] + spent[State.OFFLINE]
    return spent[State.ONLINE] / known if known else None

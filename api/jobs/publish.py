"""Published values: what each indicator was at every whole minute and at every change, kept for good."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from api.context import Context
from pulse import logs
from pulse.clock import DAY_US, MINUTE_US, SECOND_US
from pulse.errors import Conflict
from pulse.indicators.indicator import Indicator
from pulse.stores.relational import coverage, events, published

MOST_MINUTES = 240
"""Minutes caught up in one run; the next run goes on."""
FURTHEST_BACK_US = 7 * DAY_US
LEAST_APART_US = SECOND_US
"""Changes closer together are published as one, at the end of this time."""

_ONE_BY_ONE = threading.Lock()
"""The minute's job and the following of changes, in one process, do not work out the same value twice."""

_log = logs.get(__name__)


class Moment(NamedTuple):
    """When a value may be due; `minute` whether it is published even if nothing has changed."""

    at_us: int
    minute: bool


class Done(NamedTuple):
    """How many values were published, and how many were worked out."""

    published: int
    drafted: int


Seen = dict[str, int]
"""Up to when, by indicator, changes were looked at that gave no other figures."""


def due_minutes(last_us: int | None, start_us: int | None, through_us: int) -> list[int]:
    """The whole minutes to publish now, in order: behind the last one published, up to the watermark.

    None before the collector's first start (`start_us`), none older than a week, and no more than one run
    may take.
    """
    if start_us is None:
        return []
    first = _whole(max(start_us, through_us - FURTHEST_BACK_US))
    if last_us is not None:
        first = max(first, last_us + MINUTE_US)
    last = min(through_us, first + (MOST_MINUTES - 1) * MINUTE_US)
    return list(range(first, last + 1, MINUTE_US))


def due_changes(
    last_us: int, changes: Iterable[int], through_us: int, apart_us: int = LEAST_APART_US
) -> list[int]:
    """The moments at which `changes` (in order of time) are to be published, behind the last value.

    Each at its own time, or `apart_us` after the one before; one that would be behind the watermark waits.
    """
    due: list[int] = []
    reached_us, ready_us = last_us, last_us + apart_us
    for change_us in changes:
        if change_us <= reached_us:
            # What was published after it tells of it.
            continue
        at_us = max(change_us, ready_us)
        if at_us > through_us:
            break
        due.append(at_us)
        reached_us, ready_us = at_us, at_us + apart_us
    return due


def due(minutes: Sequence[int], changes: Sequence[int]) -> list[Moment]:
    """Both in order of time, no moment twice; with more minutes to catch up, no change behind them."""
    until_us = minutes[-1] + MINUTE_US if len(minutes) == MOST_MINUTES else None
    early = (at for at in changes if until_us is None or at < until_us)
    whole = set(minutes)
    return sorted(
        [*(Moment(at, True) for at in whole), *(Moment(at, False) for at in early if at not in whole)]
    )


def publish(context: Context, stop: threading.Event) -> int:
    """Publish every minute and change that is due of every indicator, and say how many were."""
    return publish_behind(context, stop, {}).published


def publish_behind(
    context: Context, stop: threading.Event, seen: Seen, apart_us: int = LEAST_APART_US
) -> Done:
    """The same; `seen` goes on from run to run of whoever looks often."""
    with _ONE_BY_ONE:
        done = [_publish(context, indicator, stop, seen, apart_us) for indicator in context.indicators]
    return Done(sum(one.published for one in done), sum(one.drafted for one in done))


def _publish(
    context: Context, indicator: Indicator, stop: threading.Event, seen: Seen, apart_us: int
) -> Done:
    name = indicator.name
    with context.db.read() as connection:
        mark = coverage.watermark(connection)
        last = published.latest(connection, name)
        minutes = (
            []
            if mark is None
            else due_minutes(
                published.last_minute(connection, name), indicator.since(connection), mark.through_us
            )
        )
        # Before the first value there is nothing that could have changed.
        last_us = last.at_us if last is not None else minutes[0] if minutes else None
        if mark is None or last_us is None:
            return Done(0, 0)
        behind_us = max(last_us, seen.get(name, last_us))
        changes = indicator.changes(connection, last, behind_us, mark.through_us)
    moments = due(minutes, due_changes(last_us, changes, mark.through_us, apart_us))
    until_us = minutes[-1] + MINUTE_US - 1 if len(minutes) == MOST_MINUTES else mark.through_us
    figures = None if last is None else last.figures
    count = drafted = 0
    for at_us, minute in _with_own(indicator, moments, behind_us, until_us, apart_us):
        if stop.is_set():
            break
        value = indicator.drafted(at_us).value
        drafted += 1
        seen[name] = at_us
        if not minute and value.figures == figures:
            continue
        try:
            with context.db.write() as connection:
                published.append(connection, value)
                if value.figures != figures:
                    events.append(connection, indicator.news(value))
            count += 1
        except Conflict:
            # Another scheduler was quicker; what it published stays.
            _log.info("published_already", indicator=name, at_us=at_us)
        figures = value.figures
    return Done(count, drafted)


def _with_own(
    indicator: Indicator, moments: Sequence[Moment], behind_us: int, until_us: int, apart_us: int
) -> Iterator[Moment]:
    """Moments, and between them those at which the indicator changes by itself; each is worked out before
    the next is asked for.
    """
    waiting, reached_us = deque(moments), behind_us
    while True:
        own_us = indicator.next_change(reached_us)
        moment = None if own_us is None else Moment(max(own_us, reached_us + apart_us), False)
        if moment is None or moment.at_us > until_us or (waiting and waiting[0].at_us <= moment.at_us):
            if not waiting:
                return
            moment = waiting.popleft()
        yield moment
        reached_us = max(reached_us, moment.at_us)


def _whole(at_us: int) -> int:
    """The first whole minute at or after `at_us`."""
    return -(-at_us // MINUTE_US) * MINUTE_US

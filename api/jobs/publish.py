"""The minute's published value: what the online rate was at every whole minute, kept for good."""

import threading

from api.context import Context
from pulse import logs
from pulse.clock import DAY_US, MINUTE_US
from pulse.errors import Conflict
from pulse.indicators.online_rate import NAME
from pulse.stores.relational import coverage, published
from pulse.stores.relational.published import PublishedValue

MOST_MINUTES = 240
"""Minutes caught up in one run; the next run goes on."""
FURTHEST_BACK_US = 7 * DAY_US

_log = logs.get(__name__)


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


def publish(context: Context, stop: threading.Event) -> int:
    """Publish every minute that is due, and say how many were."""
    with context.db.read() as connection:
        mark = coverage.watermark(connection)
        start_us = coverage.start_us(connection)
        last = published.latest(connection, NAME)
    if mark is None:
        return 0
    count = 0
    for at_us in due_minutes(None if last is None else last.at_us, start_us, mark.through_us):
        if stop.is_set():
            break
        known_us = max(at_us, context.rate.as_of().at_us)
        figures = context.rate.publishable(at_us, known_us)
        running, total = figures["all"]["raw"]
        try:
            with context.db.write() as connection:
                published.append(connection, PublishedValue(NAME, at_us, known_us, running, total, figures))
            count += 1
        except Conflict:
            # Another scheduler was quicker; what it published stays.
            _log.info("published_already", at_us=at_us)
    return count


def _whole(at_us: int) -> int:
    """The first whole minute at or after `at_us`."""
    return -(-at_us // MINUTE_US) * MINUTE_US

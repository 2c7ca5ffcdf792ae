"""Transitions and published values copied into the telemetry store, where Grafana users find them.

What was copied is remembered in the database, so that nothing is left out while the store is away; to
copy something twice does no harm.
"""

import threading
from typing import Any

from api.context import Context
from pulse.clock import DAY_US, HOUR_US
from pulse.indicators.online_rate import NAME
from pulse.indicators.present import ratio
from pulse.stores.base import IndicatorPoint, TransitionPoint
from pulse.stores.relational import events, meta, published
from pulse.stores.relational.events import Event
from pulse.stores.relational.published import PublishedValue

TRANSITIONS = "forwarded_event_id"
INDICATORS = "forwarded_indicator_us"
_PAGE = 1000
_STRETCH_US = 6 * HOUR_US
_AT_FIRST_US = 8 * DAY_US
"""How far the first copy reaches back: it runs within minutes of the first value, or of a history put in."""


def forward(context: Context, stop: threading.Event) -> None:
    """Copy everything new. Raises `StoreUnavailable`; the next run goes on where this one ended."""
    while not stop.is_set() and _transitions(context) == _PAGE:
        pass
    while not stop.is_set() and _indicators(context):
        pass


def forwarded_event_id(value: str | None) -> int:
    """The id of the last event that was copied, from what `meta` keeps."""
    return int(value or 0)


def _transitions(context: Context) -> int:
    """Copy one page of events and say how many there were."""
    with context.db.read() as connection:
        page = events.after(connection, forwarded_event_id(meta.get(connection, TRANSITIONS)), _PAGE)
    if page:
        context.store.write_transitions([_transition(e) for e in page if e.topic == "transition"])
        with context.db.write() as connection:
            meta.put(connection, TRANSITIONS, str(page[-1].id))
    return len(page)


def _transition(event: Event) -> TransitionPoint:
    body = event.body
    return TransitionPoint(
        body["device"],
        body["community"],
        body["kind"],
        event.at_us,
        event.recorded_us,
        body["before"],
        body["after"],
        body["cause"],
    )


def _indicators(context: Context) -> bool:
    """Copy a stretch of published values and say whether more may follow."""
    with context.db.read() as connection:
        known = meta.get(connection, INDICATORS)
        last = published.latest(connection, NAME)
        if last is None or (known is not None and int(known) >= last.at_us):
            return False
        from_us = last.at_us - _AT_FIRST_US if known is None else int(known) + 1
        to_us = from_us + _STRETCH_US
        values = published.series(connection, NAME, from_us, to_us)
    context.store.write_indicators([point for value in values for point in _points(value)])
    with context.db.write() as connection:
        meta.put(connection, INDICATORS, str(min(to_us - 1, last.at_us)))
    return to_us <= last.at_us


def _points(value: PublishedValue) -> list[IndicatorPoint]:
    groups = {"": value.figures["all"], **value.figures["by_community"]}
    return [_point(value.at_us, community, figures) for community, figures in groups.items()]


def _point(at_us: int, community: str, figures: dict[str, Any]) -> IndicatorPoint:
    running, total = figures["raw"]
    upper = running + figures["unknown_raw"]
    return IndicatorPoint(
        NAME, community, at_us, running, total, ratio(running, total), ratio(upper, total), figures["states"]
    )

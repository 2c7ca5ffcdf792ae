"""Published values copied into the telemetry store, where Grafana users find them.

How far they were copied is remembered in the database, so that none is left out while the store is away;
to copy one twice does no harm.
"""

import threading
from typing import Any

from api.context import Context
from pulse.clock import DAY_US, HOUR_US
from pulse.indicators.online_rate import NAME
from pulse.indicators.present import ratio
from pulse.stores.base import IndicatorPoint
from pulse.stores.relational import meta, published
from pulse.stores.relational.published import PublishedValue

INDICATORS = "indicators_in_telemetry"
_STRETCH_US = 6 * HOUR_US
_AT_FIRST_US = 8 * DAY_US
"""How far the first copy reaches back: it runs within minutes of the first value, or of a history put in."""


def forward(context: Context, stop: threading.Event) -> None:
    """Copy everything new. Raises `StoreUnavailable`; the next run goes on where this one ended."""
    while not stop.is_set() and _indicators(context):
        pass


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

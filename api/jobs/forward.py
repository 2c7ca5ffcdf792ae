"""Published values copied into the telemetry store, where Grafana users find them.

How far they were copied is remembered in the database, so that none is left out while the store is away;
to copy one twice does no harm.
"""

import threading

from api.context import Context
from pulse.clock import DAY_US, HOUR_US
from pulse.indicators.indicator import Indicator
from pulse.indicators.online_rate import NAME
from pulse.stores.relational import meta, published

INDICATORS = "indicators_in_telemetry"
"""Up to when values of the online rate were copied; of another indicator its name stands behind it."""
_STRETCH_US = 6 * HOUR_US
_AT_FIRST_US = 8 * DAY_US
"""How far the first copy reaches back: it runs within minutes of the first value, or of a history put in."""


def forward(context: Context, stop: threading.Event) -> None:
    """Copy everything new. Raises `StoreUnavailable`; the next run goes on where this one ended."""
    for indicator in context.indicators:
        while not stop.is_set() and _copied(context, indicator):
            pass


def _copied(context: Context, indicator: Indicator) -> bool:
    """Copy a stretch of published values and say whether more may follow."""
    key = INDICATORS if indicator.name == NAME else f"{INDICATORS}/{indicator.name}"
    with context.db.read() as connection:
        known = meta.get(connection, key)
        last = published.latest(connection, indicator.name)
        if last is None or (known is not None and int(known) >= last.at_us):
            return False
        from_us = last.at_us - _AT_FIRST_US if known is None else int(known) + 1
        to_us = from_us + _STRETCH_US
        values = published.series(connection, indicator.name, from_us, to_us)
    context.store.write_indicators([point for value in values for point in indicator.points(value)])
    with context.db.write() as connection:
        meta.put(connection, key, str(min(to_us - 1, last.at_us)))
    return to_us <= last.at_us

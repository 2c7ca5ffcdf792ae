"""Reading a measurement piece by piece: a query opens every shard it may need at once."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from pulse.clock import DAY_US, HOUR_US
from pulse.stores.acceptable import TIME_MAX_US, TIME_MIN_US
from pulse.stores.influx.client import Client, Series
from pulse.stores.influx.lines import NS_PER_US
from pulse.stores.influx.lookup import NAMED_DEVICES, devices_in

_FIRST_US = HOUR_US
_WIDEST_US = 7 * DAY_US

_PERIODS = (
    ("time >= now() - 1d", 1_000_000),
    ("time >= now() - 8d AND time < now() - 1d", NAMED_DEVICES),
    ("time < now() - 8d", NAMED_DEVICES),
)
"""Where to look for the last points, and for how many devices at once."""


class At(Protocol):
    """Something with a timestamp in nanoseconds."""

    @property
    def ns(self) -> int:
        """The timestamp."""
        ...


AtT = TypeVar("AtT", bound=At)


def last_of_each(
    client: Client, measurement: str, read: Callable[[Series], Iterable[tuple[str, AtT]]]
) -> dict[str, AtT]:
    """What has the greatest timestamp of every device; `read` gives devices and points of a series.

    Most devices were heard in the last day; only for the others older shards are opened.
    """
    everyone = {row[1] for row in client.rows(f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "device"')}
    found: dict[str, AtT] = {}
    for period, size in _PERIODS:
        for devices in _grouped(sorted(everyone - found.keys()), size):
            named, parameters = devices_in(devices)
            query = (
                f'SELECT * FROM "{measurement}" WHERE {period}{named}'
                ' GROUP BY "community", "device", "kind" ORDER BY time DESC LIMIT 1'
            )
            for series in client.query(query, parameters):
                for device, point in read(series):
                    known = found.get(device)
                    if known is None or known.ns < point.ns:
                        found[device] = point
    return found


def in_order_of_time(
    client: Client, measurement: str, from_us: int, to_us: int, device: str | None, newest_first: bool
) -> Iterator[Series]:
    """Everything of a measurement with timestamps in `[from_us, to_us)`, in order of these."""
    from_us, to_us = clamped(from_us), clamped(to_us)
    named, parameters = devices_in([device]) if device is not None else ("", {})
    if to_us - from_us > 2 * _WIDEST_US:
        edges = [
            row[0] // NS_PER_US
            for order in ("ASC", "DESC")
            for row in client.rows(
                f'SELECT * FROM "{measurement}" WHERE time <= $until{named} ORDER BY time {order} LIMIT 1',
                {"until": TIME_MAX_US * NS_PER_US, **parameters},
            )
        ]
        if not edges:
            return
        from_us, to_us = max(from_us, edges[0]), min(to_us, edges[-1] + 1)
    query = (
        f'SELECT * FROM "{measurement}" WHERE time >= $from AND time < $to{named}'
        f" ORDER BY time {'DESC' if newest_first else 'ASC'}"
    )
    width = _FIRST_US
    while from_us < to_us:
        first, last = (
            (max(from_us, to_us - width), to_us) if newest_first else (from_us, min(to_us, from_us + width))
        )
        bounds = {"from": first * NS_PER_US, "to": last * NS_PER_US}
        yield from client.query(query, {**bounds, **parameters})
        from_us, to_us = (from_us, first) if newest_first else (last, to_us)
        width = min(8 * width, _WIDEST_US)


def clamped(us: int) -> int:
    """A time that InfluxDB takes."""
    return max(TIME_MIN_US, min(us, TIME_MAX_US + 1))


def _grouped(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]

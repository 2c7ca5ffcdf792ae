"""Points lie in the order of their own times; here they come back in the order of their reception."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from pulse.clock import DAY_US, HOUR_US
from pulse.messages import Message
from pulse.stores.acceptable import TIME_MAX_US, TIME_MIN_US
from pulse.stores.influx.client import Client, Parameter
from pulse.stores.influx.lines import HEARTBEAT, LATE, NS_PER_US
from pulse.stores.influx.lookup import NAMED_DEVICES, devices_in
from pulse.stores.influx.placing import LATE_US, SPILL_US
from pulse.stores.influx.rows import Point, points
from pulse.stores.sameness import BACKLOG_US

_FIRST_WINDOW_US = HOUR_US
_WIDEST_WINDOW_US = 7 * DAY_US
"""The whole past is read a piece at a time: a query opens every shard it may need at once."""

_PERIODS = (
    ("time >= now() - 1d", 1_000_000),
    ("time >= now() - 8d AND time < now() - 1d", NAMED_DEVICES),
    ("time < now() - 8d", NAMED_DEVICES),
)
"""Where to look for the last points, and for how many devices at once."""

_Key = tuple[int, int, int]


def received(
    client: Client, from_us: int, to_us: int, device: str | None, newest_first: bool, limit: int | None
) -> Iterator[Message]:
    """Messages with `from_us <= observed_us < to_us` in order of (`observed_us`, `order`).

    Those at most `LATE_US` behind their own time are found near it, the others by their copies in `late`.
    """

    def stream(measurement: str, before_us: int) -> Iterator[Message]:
        found = _points(client, measurement, from_us - before_us, to_us + SPILL_US, device, newest_first)
        own = (p for p in found if _belongs(p, measurement) and from_us <= p.message.observed_us < to_us)
        return in_order_of_reception(own, newest_first)

    streams = (stream(HEARTBEAT, LATE_US), stream(LATE, 0))
    merged = heapq.merge(*streams, key=_reversed if newest_first else _forward)
    return islice(_without_copies(merged), limit)


def received_or_measured(client: Client, device: str, from_us: int, to_us: int) -> list[Message]:
    """Messages of one device with reception or measured time in `[from_us, to_us)`, by `order`."""
    from_us, to_us = _clamp(from_us), _clamp(to_us)
    found = {}
    # Every message lies at its reception or at most the backlog before it.
    for point in _points(client, HEARTBEAT, from_us - BACKLOG_US, to_us + BACKLOG_US, device, False):
        message = point.message
        measured = message.measured_us
        if from_us <= message.observed_us < to_us or (measured is not None and from_us <= measured < to_us):
            found[point.ns] = message
    return sorted(found.values(), key=lambda m: (m.order, m.observed_us))


def last_points(client: Client, measurement: str) -> dict[str, Point]:
    """The point with the greatest timestamp of every device.

    Most devices were heard in the last day; only for the others older shards are opened.
    """
    everyone = {row[1] for row in client.rows(f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "device"')}
    found: dict[str, Point] = {}
    for period, size in _PERIODS:
        for devices in _grouped(sorted(everyone - found.keys()), size):
            named, parameters = devices_in(devices)
            query = (
                f'SELECT * FROM "{measurement}" WHERE {period}{named}'
                ' GROUP BY "community", "device", "kind" ORDER BY time DESC LIMIT 1'
            )
            for series in client.query(query, parameters):
                for point in points(series):
                    known = found.get(point.message.device)
                    if known is None or known.ns < point.ns:
                        found[point.message.device] = point
    return found


def latest(client: Client) -> dict[str, Message]:
    """The last received message of every device: the last in time, or one that came out of order."""
    found = {device: point.message for device, point in last_points(client, HEARTBEAT).items()}
    for device, point in last_points(client, LATE).items():
        known = found.get(device)
        if known is None or _forward(known) < _forward(point.message):
            found[device] = point.message
    return found


def oldest(client: Client) -> int | None:
    """Reception time of the message that was received first."""
    edge = _edge(client, HEARTBEAT, "", {}, newest=False)
    if edge is None:
        return None
    first_ns, observed_us = edge
    # Whatever was received before this one lies between the two times of this one.
    rows = client.rows(
        f'SELECT min("observed_us") FROM "{HEARTBEAT}" WHERE time >= $from AND time <= $to',
        {"from": first_ns, "to": (observed_us + SPILL_US) * NS_PER_US},
    )
    return int(rows[0][1])


def in_order_of_reception(found: Iterable[Point], newest_first: bool) -> Iterator[Message]:
    """Messages of points in order of time, brought into order of reception.

    Takes only points received at most `LATE_US` after their timestamp and not before it, but for the
    nanoseconds by which they had to move; holds no more than what is received within that of each other.
    """
    waiting: list[tuple[_Key, int, Message]] = []
    key: Callable[[Message], _Key] = _reversed if newest_first else _forward
    for number, (ns, message) in enumerate(found):
        # Beyond this key nothing that is still to come can belong before what waits.
        us = ns // NS_PER_US
        safe = -(us + LATE_US) if newest_first else us - SPILL_US
        while waiting and waiting[0][0][0] < safe:
            yield heapq.heappop(waiting)[2]
        heapq.heappush(waiting, (key(message), number, message))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _belongs(point: Point, measurement: str) -> bool:
    return measurement == LATE or point.message.observed_us - point.ns // NS_PER_US <= LATE_US


def _forward(message: Message) -> _Key:
    return message.observed_us, message.order, message.identity


def _reversed(message: Message) -> _Key:
    return -message.observed_us, -message.order, -message.identity


def _without_copies(messages: Iterable[Message]) -> Iterator[Message]:
    """Leave out what was read from both measurements; equal messages follow each other here."""
    seen: set[tuple[str, int | None, bool]] = set()
    last: _Key | None = None
    for message in messages:
        if _forward(message) != last:
            last = _forward(message)
            seen.clear()
        key = (message.device, message.measured_us, message.retained)
        if key not in seen:
            seen.add(key)
            yield message


def _points(
    client: Client, measurement: str, from_us: int, to_us: int, device: str | None, newest_first: bool
) -> Iterator[Point]:
    """Points with timestamps in `[from_us, to_us)`, in order of these."""
    from_us, to_us = _clamp(from_us), _clamp(to_us)
    named, parameters = devices_in([device]) if device is not None else ("", {})
    if to_us - from_us > 2 * _WIDEST_WINDOW_US:
        edges = [_edge(client, measurement, named, parameters, newest=newest) for newest in (False, True)]
        if edges[0] is None or edges[1] is None:
            return
        from_us = max(from_us, edges[0][0] // NS_PER_US)
        to_us = min(to_us, edges[1][0] // NS_PER_US + 1)
    query = (
        f'SELECT * FROM "{measurement}" WHERE time >= $from AND time < $to{named}'
        f" ORDER BY time {'DESC' if newest_first else 'ASC'}"
    )
    width = _FIRST_WINDOW_US
    while from_us < to_us:
        first, last = (
            (max(from_us, to_us - width), to_us) if newest_first else (from_us, min(to_us, from_us + width))
        )
        bounds = {"from": first * NS_PER_US, "to": last * NS_PER_US}
        for series in client.query(query, {**bounds, **parameters}):
            yield from points(series)
        from_us, to_us = (from_us, first) if newest_first else (last, to_us)
        width = min(8 * width, _WIDEST_WINDOW_US)


def _edge(
    client: Client, measurement: str, named: str, parameters: dict[str, Parameter], *, newest: bool
) -> tuple[int, int] | None:
    """Timestamp (ns) and reception (µs) of the first or last point, None if there is none."""
    query = (
        f'SELECT "observed_us" FROM "{measurement}" WHERE time <= $until{named}'
        f" ORDER BY time {'DESC' if newest else 'ASC'} LIMIT 1"
    )
    rows = client.rows(query, {"until": TIME_MAX_US * NS_PER_US, **parameters})
    return (rows[0][0], rows[0][1]) if rows else None


def _grouped(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _clamp(us: int) -> int:
    return max(TIME_MIN_US, min(us, TIME_MAX_US + 1))

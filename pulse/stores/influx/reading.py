"""Points lie in the order of their own times; here they come back in the order of their reception."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from pulse.messages import Message
from pulse.stores.acceptable import TIME_MAX_US, TIME_MIN_US
from pulse.stores.influx import late
from pulse.stores.influx.client import Client
from pulse.stores.influx.ground import LATE_US, SPILL_US
from pulse.stores.influx.lines import HEARTBEAT, NS_PER_US
from pulse.stores.influx.rows import Point, points
from pulse.stores.influx.spans import RECEIVED_US
from pulse.stores.influx.windows import clamped, in_order_of_time, last_of_each
from pulse.stores.sameness import BACKLOG_US

_Key = tuple[int, int, int]


def received(
    client: Client, from_us: int, to_us: int, device: str | None, newest_first: bool, limit: int | None
) -> Iterator[Message]:
    """Messages with `from_us <= observed_us < to_us` in order of (`observed_us`, `order`).

    Those at most `LATE_US` behind their own time are found near it, the others where `late` says.
    """
    found = _points(client, from_us - LATE_US, to_us + SPILL_US, device, newest_first)
    own = (p for p in found if _is_near(p) and from_us <= p.message.observed_us < to_us)
    near = in_order_of_reception(own, newest_first)
    behind = late.messages(client, from_us, to_us, device, newest_first)
    merged = heapq.merge(near, behind, key=_reversed if newest_first else _forward)
    return islice(merged, limit)


def received_or_measured(client: Client, device: str, from_us: int, to_us: int) -> list[Message]:
    """Messages of one device with reception or measured time in `[from_us, to_us)`, by `order`."""
    from_us, to_us = clamped(from_us), clamped(to_us)
    found = {}
    # Every message lies at its reception or at most the backlog before it.
    for point in _points(client, from_us - BACKLOG_US, to_us + BACKLOG_US, device, False):
        message = point.message
        measured = message.measured_us
        if from_us <= message.observed_us < to_us or (measured is not None and from_us <= measured < to_us):
            found[point.ns] = message
    return sorted(found.values(), key=lambda m: (m.order, m.observed_us))


def last_points(client: Client) -> dict[str, Point]:
    """The heartbeat with the greatest timestamp of every device."""
    return last_of_each(client, HEARTBEAT, lambda series: [(p.message.device, p) for p in points(series)])


def latest(client: Client) -> dict[str, Message]:
    """The last received message of every device: the last in time, or one that came late or out of order."""
    found = {device: point.message for device, point in last_points(client).items()}
    later = {
        device: span
        for device, span in late.last_spans(client).items()
        if device not in found or span.received_us + RECEIVED_US > found[device].observed_us
    }
    for point in late.points_of(client, later.values()):
        known = found.get(point.message.device)
        if known is None or _forward(known) < _forward(point.message):
            found[point.message.device] = point.message
    return found


def oldest(client: Client) -> int | None:
    """Reception time of the message that was received first."""
    first = next(_points(client, TIME_MIN_US, TIME_MAX_US + 1, None, False), None)
    if first is None:
        return None
    if not _is_near(first):
        return next(received(client, TIME_MIN_US, TIME_MAX_US + 1, None, False, 1)).observed_us
    # Whatever was received before this one lies between the two times of this one, or is told by `late`.
    until_us = first.message.observed_us + SPILL_US
    near = _points(client, first.ns // NS_PER_US, until_us, None, False)
    return min(point.message.observed_us for point in near)


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


def _is_near(point: Point) -> bool:
    """Whether a point lies near its reception."""
    return point.message.observed_us - point.ns // NS_PER_US <= LATE_US


def _forward(message: Message) -> _Key:
    return message.observed_us, message.order, message.identity


def _reversed(message: Message) -> _Key:
    return -message.observed_us, -message.order, -message.identity


def _points(
    client: Client, from_us: int, to_us: int, device: str | None, newest_first: bool
) -> Iterator[Point]:
    """Heartbeats with timestamps in `[from_us, to_us)`, in order of these."""
    for series in in_order_of_time(client, HEARTBEAT, from_us, to_us, device, newest_first):
        yield from points(series)

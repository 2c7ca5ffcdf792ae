"""Reading what came late: the points of `late` say where it lies (`spans`)."""

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pulse.clock import MINUTE_US
from pulse.messages import Message
from pulse.stores.influx.client import Client, Parameter, Series
from pulse.stores.influx.ground import LATE_US, SPILL_NS, SPILL_US, Probe
from pulse.stores.influx.lines import HEARTBEAT, LATE, NS_PER_US
from pulse.stores.influx.lookup import clusters, devices_in
from pulse.stores.influx.rows import Point, points
from pulse.stores.influx.spans import RECEIVED_US, Span
from pulse.stores.influx.windows import in_order_of_time, last_of_each

AT_ONCE = 20_000
"""So many late messages are brought into order at once, give or take those of a second."""

_GAP_NS = 15 * MINUTE_US * NS_PER_US

_Key = tuple[str, int]


class Stretch(NamedTuple):
    """A point of `late` at `ns`: what was received from `received_us` on lies at `first_ns` to `last_ns`."""

    ns: int
    device: str
    received_us: int
    first_ns: int
    last_ns: int
    messages: int

    def covers(self, point: Point) -> bool:
        """Whether a point of the device is one of its messages."""
        return (
            self.first_ns <= point.ns <= self.last_ns
            and point.message.observed_us // RECEIVED_US == self.received_us // RECEIVED_US
        )


def last_spans(client: Client) -> dict[str, Stretch]:
    """What came late last of every device of which anything ever did."""
    return last_of_each(client, LATE, lambda series: [(one.device, one) for one in _stretches(series)])


def points_of(client: Client, stretches: Iterable[Stretch]) -> Iterator[Point]:
    """The messages of some stretches, in no order, each once."""
    by_device: dict[str, list[Stretch]] = {}
    for one in stretches:
        by_device.setdefault(one.device, []).append(one)
    wanted = (Probe(s.device, s.first_ns, s.last_ns) for own in by_device.values() for s in own)
    found = set[_Key]()
    for (from_ns, to_ns), devices in clusters(wanted, _GAP_NS).items():
        named, parameters = devices_in(devices)
        query = f'SELECT * FROM "{HEARTBEAT}" WHERE time >= $from AND time <= $to{named}'
        for series in client.query(query, {"from": from_ns, "to": to_ns, **parameters}):
            for point in points(series):
                key = point.message.device, point.ns
                if key not in found and any(s.covers(point) for s in by_device.get(key[0], ())):
                    found.add(key)
                    yield point


def messages(
    client: Client, from_us: int, to_us: int, device: str | None, newest_first: bool
) -> Iterator[Message]:
    """Messages received in `[from_us, to_us)`, more than `LATE_US` after their timestamps, in that order."""
    waiting: list[tuple[tuple[int, int, int], Message]] = []
    before, now = set[_Key](), set[_Key]()
    sign = -1 if newest_first else 1
    for stretches, then_ns in _portions(
        client, from_us - RECEIVED_US, to_us + SPILL_US, device, newest_first
    ):
        for point in points_of(client, stretches):
            message, key = point.message, (point.message.device, point.ns)
            if (
                from_us <= message.observed_us < to_us
                and message.observed_us - point.ns // NS_PER_US > LATE_US
                and key not in before
                and key not in now
            ):
                now.add(key)
                order = sign * message.observed_us, sign * message.order, sign * message.identity
                heapq.heappush(waiting, (order, message))
        before, now = now, set()
        # Nothing that the next portions hold can belong before this.
        safe_us = _safe_us(then_ns, newest_first)
        while waiting and (safe_us is None or waiting[0][0][0] < sign * safe_us):
            yield heapq.heappop(waiting)[1]


def _safe_us(then_ns: int | None, newest_first: bool) -> int | None:
    if then_ns is None:
        return None
    return then_ns // NS_PER_US + RECEIVED_US if newest_first else then_ns // NS_PER_US - SPILL_US


def standing(client: Client, device: str, span: Span) -> set[int]:
    """The nanoseconds near a span's reception at which points of its device stand."""
    first_ns = span.received_us * NS_PER_US
    bounds: dict[str, Parameter] = {"from": first_ns, "to": first_ns + SPILL_NS, "device": device}
    query = f'SELECT "first_ns" FROM "{LATE}" WHERE time >= $from AND time <= $to AND "device" = $device'
    return {row[0] for row in client.rows(query, bounds)}


def _portions(
    client: Client, from_us: int, to_us: int, device: str | None, newest_first: bool
) -> Iterator[tuple[list[Stretch], int | None]]:
    """Stretches in order of their points, some at once, each time with where the next one stands, if any."""
    portion: list[Stretch] = []
    count = 0
    for series in in_order_of_time(client, LATE, from_us, to_us, device, newest_first):
        for one in _stretches(series):
            if count >= AT_ONCE and one.received_us // RECEIVED_US != portion[-1].received_us // RECEIVED_US:
                yield portion, one.ns
                portion, count = [], 0
            portion.append(one)
            count += one.messages
    yield portion, None


def _stretches(series: Series) -> list[Stretch]:
    """The stretches of a series; points that this product did not write are passed over."""
    place = {column: position for position, column in enumerate(series.columns)}
    numbers = [place.get(name) for name in ("time", "received_us", "first_ns", "last_ns", "messages")]
    found = []
    for row in series.values:
        values = [row[at] for at in numbers if at is not None and isinstance(row[at], int)]
        name = row[place["device"]] if "device" in place else series.tags.get("device")
        if isinstance(name, str) and len(values) == len(numbers):
            ns, received, first, last, count = values
            found.append(Stretch(ns, name, received, first, last, count))
    return found

"""When a device lived, when it was connected and heard, and when the broker announced its death."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pulse.clock import SECOND_US
from simulators import chance
from simulators.outages import Outage, Way

_BACK_US = (SECOND_US // 2, 25 * SECOND_US)


class Life(NamedTuple):
    """`[start, end)` in which a device works. `announced`: it began in this life, and says so."""

    start: int
    end: int
    faulty: bool
    announced: bool


class Spell(NamedTuple):
    """The part `[start, end)` of a life in which the device is connected and the collector listens."""

    start: int
    end: int
    faulty: bool
    announced: bool


def lives(outages: Sequence[Outage], start_us: int, end_us: int) -> Iterator[Life]:
    """The lives between outages; an outage in which the device reports a fault is a life as well."""
    at, announced = start_us, False
    for outage in outages:
        if at < outage.start:
            yield Life(at, outage.start, False, announced)
        announced = outage.way is not Way.FAULT
        if outage.way is Way.FAULT:
            yield Life(outage.start, min(outage.end, end_us), True, False)
        at = outage.end
    if at < end_us:
        yield Life(at, end_us, False, announced)


def spells(device_key: int, life: Life, blinds: Sequence[tuple[int, int]]) -> Iterator[Spell]:
    """The spells of a life: after each blind interval the device has to connect again."""
    start, announced = life.start, life.announced
    for low, high in blinds:
        if high <= start or life.end <= low:
            continue
        if start < low:
            yield Spell(start, low, life.faulty, announced)
        start, announced = back_us(device_key, high), True
    if start < life.end:
        yield Spell(start, life.end, life.faulty, announced)


def back_us(device_key: int, blind_end_us: int) -> int:
    """When a device is connected again after a blind interval."""
    share = chance.uniform(chance.bits(device_key, 30), blind_end_us)
    return blind_end_us + int(_BACK_US[0] + share * (_BACK_US[1] - _BACK_US[0]))

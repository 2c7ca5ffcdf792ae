"""When devices tell records, as plans beside those of their beats (`simulators/faults`): pure, and endless.

What is wrong with a device shows in its records as in its beats: one that is down tells nothing, one behind a
dead network tells later, one whose clock is off says wrong times, one that repeats itself repeats these too.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pulse.clock import SECOND_US
from simulators import chance
from simulators.faults import (
    NEVER,
    Behaviour,
    Do,
    Fault,
    Step,
    Telling,
    Unit,
    buffered_us,
    copy_delays_us,
    late_us,
    plan,
)
from simulators.rhythm import Rhythm


class Duty(NamedTuple):
    """A kind of data that a device tells every so often: steadily, or at chance moments."""

    data_kind: str
    every_us: int
    at_chance: bool


class _Moments:
    """Moments at chance, one in every stretch of `every_us`."""

    def __init__(self, key: int, every_us: int) -> None:
        self._key = key
        self._every_us = every_us

    def at(self, k: int) -> int:
        """The time of moment `k`."""
        return k * self._every_us + int(chance.uniform(self._key, k) * self._every_us)

    def first_from(self, at_us: int) -> int:
        """The number of the first moment at or after `at_us`."""
        k = at_us // self._every_us
        return k if self.at(k) >= at_us else k + 1


def whole_plan(unit: Unit, duties: Sequence[Duty], fault: Fault | None) -> Iterator[Step]:
    """Everything a device does, its beats and its records, in order of time."""
    if not duties:
        return plan(unit, fault)
    return heapq.merge(plan(unit, fault), _told(unit, duties, fault), key=lambda step: step.at_us)


def _told(unit: Unit, duties: Sequence[Duty], fault: Fault | None) -> Iterator[Step]:
    if fault is None:
        yield from _stretch(unit, duties, 0, NEVER)
        return
    from_us, until_us = fault.after_us, fault.until_us
    yield from _stretch(unit, duties, 0, from_us)
    match fault.behaviour:
        case Behaviour.CUT_OFF_BUFFERING:
            if until_us < NEVER:
                kept_from_us = max(from_us, until_us - buffered_us(fault))
                yield from _stretch(unit, duties, kept_from_us, until_us, lambda _k: (NEVER,), kept=True)
        case Behaviour.LATE:
            yield from _stretch(
                unit, duties, from_us, until_us, lambda k: (late_us(unit, fault, k),), kept=True
            )
        case Behaviour.DUPLICATES:
            yield from _stretch(
                unit, duties, from_us, until_us, lambda k: (0, *copy_delays_us(unit, fault, k))
            )
        case Behaviour.WRONG_CLOCK:
            yield from _stretch(unit, duties, from_us, until_us, offset_us=fault.clock_offset_us)
        case Behaviour.FLAPPING:
            yield from _stretch(unit, duties, from_us, until_us)
        case _:
            pass
    if until_us < NEVER:
        yield from _stretch(unit, duties, until_us, NEVER)


def _stretch(
    unit: Unit,
    duties: Sequence[Duty],
    from_us: int,
    until_us: int,
    delays_us: Callable[[int], tuple[int, ...]] = lambda _k: (0,),
    *,
    kept: bool = False,
    offset_us: int = 0,
) -> Iterator[Step]:
    """Records made in `[from_us, until_us)`, in the order of delivery, which is at the end at latest."""
    made = heapq.merge(*(_made(unit, duty, from_us, until_us) for duty in duties))
    waiting: list[tuple[int, int, Telling]] = []
    tie = itertools.count()
    for at_us, data_kind, k in made:
        while waiting and waiting[0][0] <= at_us:
            due_us, _, telling = heapq.heappop(waiting)
            yield Step(due_us, Do.TELL, telling=telling)
        for delay_us in delays_us(k):
            telling = Telling(at_us, data_kind, k, offset_us, kept)
            heapq.heappush(waiting, (min(at_us + delay_us, until_us), next(tie), telling))
    while waiting:
        due_us, _, telling = heapq.heappop(waiting)
        yield Step(due_us, Do.TELL, telling=telling)


def _made(unit: Unit, duty: Duty, from_us: int, until_us: int) -> Iterator[tuple[int, str, int]]:
    key = chance.key(unit.key, "tell", duty.data_kind)
    moments = _Moments(key, duty.every_us) if duty.at_chance else Rhythm(key, duty.every_us / SECOND_US)
    for k in itertools.count(moments.first_from(from_us)):
        at_us = moments.at(k)
        if at_us >= until_us:
            return
        yield at_us, duty.data_kind, k

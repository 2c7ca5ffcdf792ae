"""How devices behave, as plans: what a device does next and when, from its start to for ever.

A plan is a lazy sequence of steps in simulated microseconds since the start; it reads no clock, opens no
socket and depends on the device's key alone. The runner carries the steps out; tests read them.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from typing import NamedTuple

from pulse.clock import SECOND_US
from simulators import chance
from simulators.rhythm import Rhythm

NEVER = 1 << 62


class Behaviour(StrEnum):
    """What can be wrong with a device."""

    SILENT = "silent"
    """Its connection is open and answers pings, but its application says nothing."""
    KILLED = "killed"
    """It dies without a goodbye, so the broker sends its last will."""
    FAULT = "fault"
    """It beats and reports a fault."""
    NEVER_ACTIVATED = "never_activated"
    """Installed and registered, but never switched on."""
    CUT_OFF_BUFFERING = "cut_off_buffering"
    """Alive behind a dead network, keeping its beats for later."""
    FLAPPING = "flapping"
    """Drops its connection with a goodbye and is back well within its timeout."""
    WRONG_CLOCK = "wrong_clock"
    """Its clock is hours off."""
    LATE = "late"
    """Declared to buffer; every other beat arrives minutes late and out of order."""
    DUPLICATES = "duplicates"
    """Sends every beat several times, some after the next one."""

    @property
    def is_down(self) -> bool:
        """Whether a device that behaves so is not running normally."""
        return self in _DOWN


_DOWN = frozenset(
    {
        Behaviour.SILENT,
        Behaviour.KILLED,
        Behaviour.FAULT,
        Behaviour.NEVER_ACTIVATED,
        Behaviour.CUT_OFF_BUFFERING,
    }
)


class Fault(NamedTuple):
    """What is wrong with one device, from `after_us` on for `for_us` (`NEVER`: for good)."""

    behaviour: Behaviour
    after_us: int = 0
    for_us: int = NEVER
    code: str = "self_test"
    clock_offset_us: int = 0
    clock_declared: bool = False
    max_lateness_us: int = 0
    every_beats: int = 5
    copies: int = 2

    @property
    def until_us(self) -> int:
        """When it is over."""
        return min(self.after_us + self.for_us, NEVER)

    def scaled(self, time_scale: float) -> "Fault":
        """The same when time runs `time_scale` times as fast; how far the clock is off stays."""
        return self._replace(
            after_us=round(self.after_us / time_scale),
            for_us=NEVER if self.for_us == NEVER else round(self.for_us / time_scale),
            max_lateness_us=round(self.max_lateness_us / time_scale),
        )

    @property
    def is_down_for_good(self) -> bool:
        """Whether the device is down in the steady state."""
        return self.behaviour.is_down and self.until_us == NEVER


class Do(Enum):
    """What a device does in a step."""

    CONNECT = 0
    """Connect unless connected, and say `online`, now and at every later reconnection."""
    CONNECT_QUIETLY = 1
    """Connect unless connected, and say nothing."""
    BEAT = 2
    DISCONNECT = 3
    """Say goodbye: the broker drops the last will."""
    KILL = 4
    """Close the socket without a goodbye: the broker sends the last will."""
    CUT = 5
    """Stop reading, writing and pinging but keep the socket, as behind a dead network."""
    TELL = 6
    """Publish a record of a kind of data."""


class Beat(NamedTuple):
    """One heartbeat: made at `made_us`, of number `seq`, by a clock that is `clock_offset_us` ahead."""

    made_us: int
    seq: int
    fault: str | None = None
    clock_offset_us: int = 0
    kept: bool = False
    """Whether the device keeps it while it has no connection."""


class Telling(NamedTuple):
    """One record: made at `made_us`, number `number` of its kind, by a clock that is so far ahead."""

    made_us: int
    data_kind: str
    number: int
    clock_offset_us: int = 0
    kept: bool = False


class Step(NamedTuple):
    """Do something at `at_us`, microseconds since the start of the simulation."""

    at_us: int
    do: Do
    beat: Beat | None = None
    telling: Telling | None = None


class Unit(NamedTuple):
    """What a plan needs to know of its device."""

    key: int
    interval_us: int
    timeout_us: int

    @property
    def rhythm(self) -> Rhythm:
        """When it beats."""
        return Rhythm(self.key, self.interval_us / SECOND_US)


def plan(unit: Unit, fault: Fault | None) -> Iterator[Step]:
    """Everything a device does, in order of time; endless for a device that lives."""
    if fault is None:
        yield from _well(unit, 0, NEVER)
        return
    if fault.after_us > 0:
        yield from _well(unit, 0, fault.after_us)
    yield from _PHASES[fault.behaviour](unit, fault, fault.after_us, fault.until_us)
    if fault.until_us < NEVER:
        yield from _well(unit, fault.until_us, NEVER)


def _well(unit: Unit, from_us: int, until_us: int) -> Iterator[Step]:
    yield Step(from_us, Do.CONNECT)
    for k, at in _beats(unit, from_us, until_us):
        yield Step(at, Do.BEAT, Beat(at, k))


def _silent(_unit: Unit, _fault: Fault, from_us: int, _until_us: int) -> Iterator[Step]:
    yield Step(from_us, Do.CONNECT_QUIETLY)


def _killed(_unit: Unit, _fault: Fault, from_us: int, _until_us: int) -> Iterator[Step]:
    yield Step(from_us, Do.CONNECT)
    yield Step(from_us, Do.KILL)


def _fault(unit: Unit, fault: Fault, from_us: int, until_us: int) -> Iterator[Step]:
    # `online` would count as a beat without a fault, so a faulty device says its fault instead.
    yield Step(from_us, Do.CONNECT_QUIETLY)
    first = unit.rhythm.first_from(from_us)
    yield Step(from_us, Do.BEAT, Beat(from_us, first, fault.code, kept=True))
    for k, at in _beats(unit, from_us, until_us):
        yield Step(at, Do.BEAT, Beat(at, k + 1, fault.code))


def _never_activated(_unit: Unit, _fault: Fault, _from_us: int, _until_us: int) -> Iterator[Step]:
    return iter(())


def _cut_off_buffering(unit: Unit, fault: Fault, from_us: int, until_us: int) -> Iterator[Step]:
    if from_us > 0:
        yield Step(from_us, Do.CUT)
    if until_us < NEVER:
        yield Step(until_us, Do.CONNECT)
        for k, at in _beats(unit, max(from_us, until_us - buffered_us(fault)), until_us):
            yield Step(until_us, Do.BEAT, Beat(at, k, kept=True))


def _flapping(unit: Unit, fault: Fault, from_us: int, until_us: int) -> Iterator[Step]:
    yield Step(from_us, Do.CONNECT)
    back_us = from_us
    for k, at in _beats(unit, from_us, until_us):
        if at < back_us:
            continue
        yield Step(at, Do.BEAT, Beat(at, k))
        if k % flap_every(unit, fault) == 0:
            yield Step(at + unit.interval_us // 50, Do.DISCONNECT)
            back_us = at + flap_us(unit, k)
            yield Step(back_us, Do.CONNECT)


def flap_every(unit: Unit, fault: Fault) -> int:
    """After how many beats a flapping device drops its connection: as set, but not while it is still away."""
    return max(fault.every_beats, unit.timeout_us // unit.interval_us)


def flap_us(unit: Unit, k: int) -> int:
    """How long after beat `k` a flapping device is back: a fifth to a half of its timeout."""
    return int((0.2 + 0.3 * chance.uniform(chance.bits(unit.key, 2), k)) * unit.timeout_us)


def _wrong_clock(unit: Unit, fault: Fault, from_us: int, until_us: int) -> Iterator[Step]:
    yield Step(from_us, Do.CONNECT)
    for k, at in _beats(unit, from_us, until_us):
        yield Step(at, Do.BEAT, Beat(at, k, clock_offset_us=fault.clock_offset_us))


def _late(unit: Unit, fault: Fault, from_us: int, until_us: int) -> Iterator[Step]:
    yield Step(from_us, Do.CONNECT)
    yield from _delivered(
        _beats(unit, from_us, until_us), lambda k: (late_us(unit, fault, k),), kept=True, until_us=until_us
    )


def late_us(unit: Unit, fault: Fault, k: int) -> int:
    """How late a late device delivers beat `k`: odd ones at once, even ones up to 0.9 of its lateness."""
    if k % 2:
        return 0
    share = chance.uniform(chance.bits(unit.key, 3), k)
    return int(share * buffered_us(fault))


def buffered_us(fault: Fault) -> int:
    """How old a beat may get in a buffering device: less than is declared, so that none comes too late."""
    return fault.max_lateness_us * 9 // 10


def _duplicates(unit: Unit, fault: Fault, from_us: int, until_us: int) -> Iterator[Step]:
    yield Step(from_us, Do.CONNECT)
    yield from _delivered(
        _beats(unit, from_us, until_us),
        lambda k: (0, *copy_delays_us(unit, fault, k)),
        kept=False,
        until_us=until_us,
    )


def copy_delays_us(unit: Unit, fault: Fault, k: int) -> tuple[int, ...]:
    """How long after beat `k` its copies follow: the last one after the next beat, the others before it."""
    spread = chance.uniform(chance.bits(unit.key, 4), k)
    quick = (int((0.1 + 0.5 * spread) * unit.interval_us * n / fault.copies) for n in range(1, fault.copies))
    return (*quick, int((1.2 + 0.2 * spread) * unit.interval_us))


def _delivered(
    beats: Iterator[tuple[int, int]],
    delays_us: Callable[[int], tuple[int, ...]],
    *,
    kept: bool,
    until_us: int,
) -> Iterator[Step]:
    """Beats in the order in which they are delivered; what would come after `until_us` comes then."""
    waiting: list[tuple[int, int, Beat]] = []
    tie = itertools.count()
    for k, at in beats:
        while waiting and waiting[0][0] <= at:
            due, _, beat = heapq.heappop(waiting)
            yield Step(due, Do.BEAT, beat)
        for delay in delays_us(k):
            heapq.heappush(waiting, (min(at + delay, until_us), next(tie), Beat(at, k, kept=kept)))
    while waiting:
        due, _, beat = heapq.heappop(waiting)
        yield Step(due, Do.BEAT, beat)


def _beats(unit: Unit, from_us: int, until_us: int) -> Iterator[tuple[int, int]]:
    rhythm = unit.rhythm
    for k in itertools.count(rhythm.first_from(from_us)):
        at = rhythm.at(k)
        if at >= until_us:
            return
        yield k, at


_PHASES: dict[Behaviour, Callable[[Unit, Fault, int, int], Iterator[Step]]] = {
    Behaviour.SILENT: _silent,
    Behaviour.KILLED: _killed,
    Behaviour.FAULT: _fault,
    Behaviour.NEVER_ACTIVATED: _never_activated,
    Behaviour.CUT_OFF_BUFFERING: _cut_off_buffering,
    Behaviour.FLAPPING: _flapping,
    Behaviour.WRONG_CLOCK: _wrong_clock,
    Behaviour.LATE: _late,
    Behaviour.DUPLICATES: _duplicates,
}

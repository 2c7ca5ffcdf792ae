"""From runs to answers: silence judged by coverage, then life cycle and maintenance laid over it.

Runs are those of one device known at the answer's knowledge time, ordered and without overlap; coverage
and maintenance likewise are the entries known then that cover the device.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pulse.ledger.model import Blind, Device, Evidence, Maintenance, Run, State, Terms
from pulse.ledger.runs import find_run, first_after


class Stretch(NamedTuple):
    """`[start, end)` in one state."""

    start: int
    end: int
    state: State


class Listening:
    """What the collector could hear, for devices that share coverage and terms; built once, asked often."""

    def __init__(self, blinds: Iterable[Blind], terms: Sequence[Terms]) -> None:
        self._blinds = sorted((b.start, b.end) for b in blinds)
        self._starts = [start for start, _ in self._blinds]
        self._deaf_until: list[int] = []
        for _, end in self._blinds:
            self._deaf_until.append(max(end, self._deaf_until[-1]) if self._deaf_until else end)
        self._unknown = merged(_silence_unproved(self._blinds, terms))
        self._unknown_starts = [start for start, _ in self._unknown]

    def deaf_until(self, at: int) -> int | None:
        """The greatest end of the blind intervals that began by `at`, None if there is none."""
        position = bisect_right(self._starts, at) - 1
        return self._deaf_until[position] if position >= 0 else None

    def offline_stands_until(self, said_at: int, end: int) -> int:
        """When an explicit offline said at `said_at` stops proving anything, at most `end` (rule 5)."""
        for start, blind_end in self._blinds:
            if blind_end > said_at:
                return max(min(start, end), said_at)
            if start >= end:
                break
        return end

    def of_silence(self, start: int, end: int) -> Iterator[Stretch]:
        """Silence in `[start, end)`: offline where a whole timeout was listened through, else unknown."""
        position = max(bisect_right(self._unknown_starts, start) - 1, 0)
        while start < end:
            if position >= len(self._unknown) or self._unknown[position][0] >= end:
                yield Stretch(start, end, State.OFFLINE)
                return
            low, high = self._unknown[position]
            if start < low:
                yield Stretch(start, low, State.OFFLINE)
            if max(low, start) < min(high, end):
                yield Stretch(max(low, start), min(high, end), State.UNKNOWN)
            start = max(start, min(high, end))
            position += 1


def _silence_unproved(blinds: Sequence[tuple[int, int]], terms: Sequence[Terms]) -> Iterator[tuple[int, int]]:
    """The instants s at which some blind interval meets (s - timeout, s], by the terms in force at s."""
    for position, agreed in enumerate(terms):
        last = position + 1 == len(terms)
        for start, end in blinds:
            low = start if position == 0 else max(start, agreed.since)
            high = end + agreed.timeout
            if not last:
                high = min(high, terms[position + 1].since)
            if low < high:
                yield low, high


def merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half-open intervals joined where they meet, in order; every instant of them is in exactly one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def presence_of(runs: Sequence[Run], listening: Listening, start: int, end: int) -> Iterator[Stretch]:
    """The device's presence through `[start, end)`, maintenance and life cycle left aside."""
    for position in range(first_after(runs, start), len(runs)):
        run = runs[position]
        if run.start >= end:
            break
        if start < run.start:
            yield from listening.of_silence(start, run.start)
            start = run.start
        until = min(run.end, end)
        if run.evidence is Evidence.OFFLINE:
            stands = listening.offline_stands_until(run.since, until)
            if start < stands:
                yield Stretch(start, stands, State.OFFLINE)
                start = stands
            yield from listening.of_silence(start, until)
        else:
            yield Stretch(start, until, State.FAULT if run.evidence is Evidence.FAULT else State.ONLINE)
        start = until
    if start < end:
        yield from listening.of_silence(start, end)


def presence_now(runs: Sequence[Run], listening: Listening, timeout: int, at: int) -> State:
    """The device's presence at one instant; `timeout` by the terms in force then."""
    run = find_run(runs, at)
    deaf_until = listening.deaf_until(at)
    if run is not None:
        if run.evidence is not Evidence.OFFLINE:
            return State.FAULT if run.evidence is Evidence.FAULT else State.ONLINE
        if deaf_until is None or deaf_until <= run.since:
            return State.OFFLINE
    return State.UNKNOWN if deaf_until is not None and deaf_until > at - timeout else State.OFFLINE


def in_service(device: Device, start: int, end: int, known_at: int) -> tuple[int, int]:
    """The part of `[start, end)` after commissioning and before retirement, as known (empty: low >= high)."""
    if known_at < device.commissioned_recorded:
        return end, end
    low = min(max(device.commissioned, start), end)
    if device.retired is not None and device.retired_recorded <= known_at:
        return low, max(min(device.retired, end), low)
    return low, end


def timeline(
    device: Device,
    runs: Sequence[Run],
    listening: Listening,
    maintenance: Iterable[Maintenance],
    start: int,
    end: int,
    known_at: int,
) -> list[Stretch]:
    """Every state of the device through `[start, end)`, joined, in order; the stretches fill the period."""
    low, high = in_service(device, start, end, known_at)
    stretches: list[Stretch] = []
    if start < low:
        stretches.append(Stretch(start, low, State.NOT_COMMISSIONED))
    windows = merged((m.start, m.end) for m in maintenance)
    for stretch in presence_of(runs, listening, low, high) if low < high else ():
        stretches.extend(_with_windows(stretch, windows))
    if high < end:
        stretches.append(Stretch(high, end, State.RETIRED))
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and joined[-1].state is stretch.state:
            joined[-1] = joined[-1]._replace(end=stretch.end)
        else:
            joined.append(stretch)
    return joined


def _with_windows(stretch: Stretch, windows: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    start = stretch.start
    for low, high in windows:
        if high <= start:
            continue
        if low >= stretch.end:
            break
        if start < low:
            yield Stretch(start, low, stretch.state)
        yield Stretch(max(low, start), min(high, stretch.end), State.EXCLUDED)
        start = min(high, stretch.end)
    if start < stretch.end:
        yield Stretch(start, stretch.end, stretch.state)

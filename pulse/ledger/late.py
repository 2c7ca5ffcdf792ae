"""Online time that became known so late that meanwhile the device had to be called something else."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pulse.ledger.columns import Ints
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import FOREVER, Device, Evidence, Run


def late_time(device: Device, runs: Sequence[Run], start: int, end: int) -> int:
    """How much of `[start, end)` the device was online as known, and was not yet known to be a timeout later.

    `runs` are those known, in order and without overlap. An instant s counts if the run that holds it is
    known since later than s + timeout, by the terms in force at s: whoever asked at that time what the
    device did at s was told something else. With a period of one instant it gives 1 or 0.
    """
    total = 0
    for run in runs:
        if run.evidence is not Evidence.BEAT or run.recorded <= run.start:
            continue
        low, high = max(run.start, start), min(run.end, end)
        for position, terms in enumerate(device.terms):
            until = device.terms[position + 1].since if position + 1 < len(device.terms) else FOREVER
            begin = low if position == 0 else max(low, terms.since)
            total += max(0, min(high, until, run.recorded - terms.timeout) - begin)
    return total


class _Runs(Protocol):
    """The columns of runs that count here, by position in a fleet."""

    @property
    def device(self) -> Ints: ...
    @property
    def start(self) -> Ints: ...
    @property
    def end(self) -> Ints: ...
    @property
    def evidence(self) -> Ints: ...
    @property
    def recorded(self) -> Ints: ...


def late_times(fleet: Fleet, runs: _Runs, low: Ints, high: Ints) -> Ints:
    """The same of many devices in columns (twin: `late_time`), each in its `[low, high)`."""
    total = np.zeros(len(fleet), dtype=np.int64)
    chosen = np.flatnonzero((runs.evidence == Evidence.BEAT) & (runs.recorded > runs.start))
    device = runs.device[chosen]
    several = np.array([len(terms) > 1 for terms in fleet.terms.lists], dtype=bool)[
        fleet.terms.number[device]
    ]
    plain, place = chosen[~several], device[~several]
    begin = np.maximum(runs.start[plain], low[place])
    until = np.minimum(runs.end[plain], high[place])
    until = np.minimum(until, runs.recorded[plain] - fleet.terms.timeout(place, runs.start[plain]))
    np.add.at(total, place, np.maximum(until - begin, 0))
    for at, position in zip(chosen[several].tolist(), device[several].tolist(), strict=True):
        start, end, recorded = (int(column[at]) for column in (runs.start, runs.end, runs.recorded))
        run = Run(start, end, Evidence.BEAT, start, recorded)
        total[position] += late_time(fleet.device(position), [run], int(low[position]), int(high[position]))
    return total

"""Figures of many devices over a period, in columns (twins: `rates.period_figures`, `rates.at_instant`).

Every amount follows from what is proved and from three measures of the time up to an instant: how much of it
silence proves nothing in, how much lies in maintenance, how much in both. So the cost is a look-up for each
end of a run, whatever lies between them, and nothing is worked out device by device.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pulse.ledger.columns import Flags, Ints
from pulse.ledger.fleet import Fleet
from pulse.ledger.laid import MOST_KEYS, Axis, Groups, Laid
from pulse.ledger.model import FOREVER, Blind, Evidence, Maintenance, State
from pulse.ledger.rates import Figures

CHUNK = 16_384
"""Devices that are worked out together."""

_ONLINE_RAW, _UNKNOWN_RAW = len(State), len(State) + 1
_LOW_BITS = 31


class RunColumns(NamedTuple):
    """Runs known at one time in columns, those of each device without overlap, devices in ascending order.

    `device` is a position in a fleet. Times as in `model.Run`.
    """

    device: Ints
    start: Ints
    end: Ints
    evidence: Ints
    since: Ints
    recorded: Ints

    def take(self, chosen: Ints | Flags | slice) -> "RunColumns":
        """The chosen elements of every column."""
        return RunColumns(*(column[chosen] for column in self))


class Totals(NamedTuple):
    """Figures by device: a row each, a column for each `State`, then online and unknown of the raw rate."""

    fleet: Fleet
    rows: Ints

    def device(self, position: int) -> Figures:
        """The figures of one device."""
        return _figures(self.rows[position].tolist())

    def by_place(self) -> list[Figures]:
        """The exact sums over the devices of each of the fleet's places."""
        sums = []
        for part in (self.rows >> _LOW_BITS, self.rows & ((1 << _LOW_BITS) - 1)):
            summed = np.zeros((len(self.fleet.places), self.rows.shape[1]), dtype=np.int64)
            np.add.at(summed, self.fleet.place, part)
            sums.append(summed.tolist())
        return [
            _figures([(h << _LOW_BITS) + low for h, low in zip(*both, strict=True)])
            for both in zip(*sums, strict=True)
        ]


def totals(
    fleet: Fleet,
    runs: RunColumns,
    blinds: Sequence[Blind],
    maintenance: Sequence[Maintenance],
    start: int,
    end: int,
    known_at: int,
) -> Totals:
    """What every device of a fleet did in `[start, end)`, of entries and runs that are known at `known_at`.

    An instant is the period of one microsecond.
    """
    low, high = in_service(fleet, start, end, known_at)
    rows = np.zeros((len(fleet), len(State) + 2), dtype=np.int64)
    rows[:, State.NOT_COMMISSIONED] = low - start
    rows[:, State.RETIRED] = end - high
    runs = runs.take((runs.start < high[runs.device]) & (runs.end > low[runs.device]))
    said_offline = runs.since[runs.evidence == Evidence.OFFLINE]
    axis = Axis(int(said_offline.min(initial=start)), end)
    groups = Groups(fleet, blinds, maintenance)
    size = max(1, min(CHUNK, MOST_KEYS // axis.stride))
    for first in range(0, len(fleet), size):
        part = slice(first, min(first + size, len(fleet)))
        own = runs.take(slice(*np.searchsorted(runs.device, (part.start, part.stop)).tolist()))
        own = own._replace(device=own.device - first)
        laid = groups.over(part, axis)
        _fill(rows[part], own, laid, low[part], high[part])
    return Totals(fleet, rows)


def _figures(row: list[int]) -> Figures:
    return Figures(row[: len(State)], row[_ONLINE_RAW], row[_UNKNOWN_RAW])


def in_service(fleet: Fleet, start: int, end: int, known_at: int) -> tuple[Ints, Ints]:
    """The part of the period in which each device is in service (twin: `answer.in_service`)."""
    never = known_at < fleet.commissioned_recorded
    low = np.where(never, end, np.clip(fleet.commissioned, start, end))
    retired = np.where(fleet.retired_recorded <= known_at, fleet.retired, FOREVER)
    return low, np.maximum(np.minimum(retired, end), low)


def _fill(rows: Ints, runs: RunColumns, laid: Laid, low: Ints, high: Ints) -> None:
    """Put into the rows of some devices what runs prove, and what silence between them does not."""
    begin, until = np.maximum(runs.start, low[runs.device]), np.minimum(runs.end, high[runs.device])
    offline = np.flatnonzero(runs.evidence == Evidence.OFFLINE)
    until[offline] = laid.stands_until(runs.device[offline], runs.since[offline], until[offline])
    proved = begin < until
    device, evidence, begin, until = (c[proved] for c in (runs.device, runs.evidence, begin, until))
    within = laid.up_to(device, until).since(laid.up_to(device, begin))
    everyone = np.arange(len(rows))
    silent, excluded, both = laid.up_to(everyone, high).since(laid.up_to(everyone, low))
    np.subtract.at(silent, device, within.unproved)
    np.subtract.at(both, device, within.both)
    rows[:, _UNKNOWN_RAW] = silent
    rows[:, State.UNKNOWN] = silent - both
    rows[:, State.EXCLUDED] = excluded
    length = until - begin
    for word, state in ((Evidence.BEAT, State.ONLINE), (Evidence.FAULT, State.FAULT)):
        said = evidence == word
        np.add.at(rows[:, state], device[said], (length - within.excluded)[said])
    said = evidence == Evidence.BEAT
    np.add.at(rows[:, _ONLINE_RAW], device[said], length[said])
    # The rest is silence that was listened to, or a goodbye that stands.
    others = (State.ONLINE, State.FAULT, State.UNKNOWN, State.EXCLUDED)
    rows[:, State.OFFLINE] = high - low - sum(rows[:, state] for state in others)

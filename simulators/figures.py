"""What would have been published each minute, worked out for all minutes at once by the ledger's answers."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pulse.clock import MINUTE_US
from pulse.indicators.online_rate import NAME
from pulse.indicators.present import compact
from pulse.ledger.answer import Stretch, in_service, presence_of, timeline
from pulse.ledger.model import Device, Run, State
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, Known
from pulse.stores.relational.published import PublishedValue
from simulators.outages import Week

Amounts = npt.NDArray[np.int64]

_ONLINE_RAW = len(State)
_UNKNOWN_RAW = len(State) + 1
_COLUMNS = len(State) + 2


def published_values(
    devices: Sequence[Device], runs: Mapping[str, Sequence[Run]], past: Week
) -> Iterator[PublishedValue]:
    """One value for each whole minute in `(start, end]`, each as it was known at its own minute."""
    minutes = range((past.start_us // MINUTE_US + 1) * MINUTE_US, past.end_us + 1, MINUTE_US)
    by_group = _amounts(devices, runs, past, minutes)
    whole = np.sum(list(by_group.values()), axis=0).tolist()
    communities = _summed(by_group, 0)
    kinds = _summed(by_group, 1)

    # Most minutes are like the one before.
    @functools.cache
    def said(row: tuple[int, ...]) -> dict[str, Any]:
        *amounts, online_raw, unknown_raw = row
        return compact(Figures(amounts, online_raw, unknown_raw))

    for row, at_us in enumerate(minutes):
        everything = said(tuple(whole[row]))
        figures = {
            "all": everything,
            "by_community": {name: said(tuple(own[row])) for name, own in communities.items()},
            "by_kind": {name: said(tuple(own[row])) for name, own in kinds.items()},
        }
        running, total = everything["raw"]
        yield PublishedValue(NAME, at_us, at_us, running, total, figures)


def as_known_then(runs: Sequence[Run]) -> list[Run]:
    """The runs cut to the instants at which they were what was known of that same instant."""
    cut = (r._replace(start=max(r.start, r.recorded), end=min(r.end, r.superseded)) for r in runs)
    return sorted(run for run in cut if run.start < run.end)


def _amounts(
    devices: Sequence[Device], runs: Mapping[str, Sequence[Run]], past: Week, minutes: range
) -> dict[tuple[str, str], Amounts]:
    """By (community, kind): for each minute the devices in every state, and online and unknown raw.

    What was blind or in maintenance was known before each of these minutes, so the books as known at the
    end serve them all.
    """
    books = Books(devices, past.start_us, past.blinds, [work.window for work in past.works])
    known = Known(books, past.end_us)
    start, end = minutes.start, minutes.stop
    changes: dict[tuple[str, str], Amounts] = {}
    for device in devices:
        group = (device.community, device.kind)
        own = changes.setdefault(group, np.zeros((len(minutes) + 1, _COLUMNS), dtype=np.int64))
        then = as_known_then(runs.get(device.id, ()))
        listening, windows = known.listening(device), known.maintenance(device)
        for stretch in timeline(device, then, listening, windows, start, end, past.end_us):
            _count(own, stretch, stretch.state, minutes)
        low, high = in_service(device, start, end, past.end_us)
        for stretch in presence_of(then, listening, low, high) if low < high else ():
            if stretch.state is State.ONLINE:
                _count(own, stretch, _ONLINE_RAW, minutes)
            elif stretch.state is State.UNKNOWN:
                _count(own, stretch, _UNKNOWN_RAW, minutes)
    return {group: own.cumsum(axis=0)[:-1] for group, own in changes.items()}


def _count(changes: Amounts, stretch: Stretch, column: int, minutes: range) -> None:
    """Count one device in every minute of a stretch."""
    changes[_row(stretch.start, minutes), column] += 1
    changes[_row(stretch.end, minutes), column] -= 1


def _row(at_us: int, minutes: range) -> int:
    """The first of the minutes at or after a time."""
    return min(max(-((minutes.start - at_us) // MINUTE_US), 0), len(minutes))


def _summed(by_group: Mapping[tuple[str, str], Amounts], member: int) -> dict[str, list[list[int]]]:
    summed: dict[str, Amounts] = {}
    for group, own in sorted(by_group.items()):
        summed[group[member]] = summed[group[member]] + own if group[member] in summed else own
    return {name: own.tolist() for name, own in sorted(summed.items())}

"""What lies over the presence of many devices, as measures of the time up to an instant, in columns.

Devices about which the same is known are a group; the time axes of all groups are laid end to end, so that
one look-up in one sorted column answers for any device of any group.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pulse.ledger.columns import Flags, Ints
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import FOREVER, Blind, Maintenance, Scope, Terms
from pulse.ledger.watch import covers_place

MOST_KEYS = 1 << 62
"""The groups' axes together have to be shorter."""

_EVERY = -2
"""In a column of devices: no single one is meant."""


class Axis(NamedTuple):
    """The time that is looked at, `[first, last]`; what lies before or after is taken to its edge."""

    first: int
    last: int

    @property
    def stride(self) -> int:
        """How many instants there are on it."""
        return self.last - self.first + 1


class Measures(NamedTuple):
    """How much of the time up to some instants is such that silence proves nothing in it, is in maintenance,
    and is both. Counted from one and the same beginning for all of a group, so differences are what counts.
    """

    unproved: Ints
    excluded: Ints
    both: Ints

    def since(self, earlier: "Measures") -> "Measures":
        """How much more of each there is than at earlier instants."""
        return Measures(*(now - then for now, then in zip(self, earlier, strict=True)))


class _Spans(NamedTuple):
    """`[start, end)` in columns, each of a group."""

    group: Ints
    start: Ints
    end: Ints


class Laid:
    """Coverage and maintenance of some devices (twin of the first: `answer.Listening`)."""

    def __init__(self, axis: Axis, group: Ints, blinds: _Spans, unproved: _Spans, windows: _Spans) -> None:
        self._axis = axis
        self._group = group
        self._said(blinds)
        spans = (unproved.start < unproved.end, windows.start < windows.end)
        unproved, windows = (
            _Spans(*(column[some] for column in one))
            for one, some in zip((unproved, windows), spans, strict=True)
        )
        keys = [
            np.array([-1], dtype=np.int64),
            self._keys(unproved.group, unproved.start),
            self._keys(unproved.group, unproved.end),
            self._keys(windows.group, windows.start),
            self._keys(windows.group, windows.end),
        ]
        edge = np.concatenate(keys)
        order = np.argsort(edge)
        self._edge = edge[order]
        gap = np.diff(self._edge, append=self._edge[-1])
        steps = np.zeros((2, len(edge)), dtype=np.int64)
        bounds = np.cumsum([len(column) for column in keys])
        for at, sign in enumerate((1, -1, 1, -1)):
            steps[at // 2, bounds[at] : bounds[at + 1]] = sign
        inside = np.cumsum(steps[:, order], axis=1) > 0
        self._slopes = (inside[0], inside[1], inside[0] & inside[1])
        self._sums = [np.cumsum(gap * slope) - gap * slope for slope in self._slopes]

    def up_to(self, device: Ints, at: Ints) -> Measures:
        """The measures of the group of each device up to each instant."""
        key = self._keys(self._group[device], at)
        place = np.searchsorted(self._edge, key, side="right") - 1
        rest = key - self._edge[place]
        return Measures(*(s[place] + rest * f[place] for s, f in zip(self._sums, self._slopes, strict=True)))

    def stands_until(self, device: Ints, said_at: Ints, end: Ints) -> Ints:
        """When explicit offlines stop proving anything, at most `end` (twin: `offline_stands_until`)."""
        group = self._group[device]
        place = np.searchsorted(self._deaf_until, self._keys(group, said_at), side="right")
        # The column ends with one of no group.
        start = np.where(self._deaf_group[place] == group, self._deaf_from[place], FOREVER)
        return np.maximum(np.minimum(start, end), said_at)

    def _said(self, blinds: _Spans) -> None:
        key = self._keys(blinds.group, blinds.start)
        order = np.argsort(key, kind="stable")
        # A later group's keys are greater than all of an earlier one: one running maximum serves all.
        self._deaf_until = np.maximum.accumulate(self._keys(blinds.group, blinds.end)[order])
        self._deaf_group = np.append(blinds.group[order], -1)
        self._deaf_from = np.append(blinds.start[order], FOREVER)

    def _keys(self, group: Ints, at: Ints) -> Ints:
        return group * self._axis.stride + (np.clip(at, self._axis.first, self._axis.last) - self._axis.first)


class Groups:
    """Which devices share coverage, terms and maintenance: those of a place with the same terms, but for
    those that an entry names, each of which is a group of its own."""

    def __init__(self, fleet: Fleet, blinds: Sequence[Blind], maintenance: Sequence[Maintenance]) -> None:
        self._fleet = fleet
        self._blinds, self._windows = _Entries(fleet, blinds), _Entries(fleet, maintenance)
        named = np.unique(np.concatenate([self._blinds.device, self._windows.device]))
        named = named[named >= 0]
        lists = len(fleet.terms.lists)
        self._number: Ints = fleet.place.astype(np.int64) * lists + fleet.terms.number
        self._number[named] = len(fleet.places) * lists + np.arange(len(named))
        self._named: Flags = np.zeros(len(fleet), dtype=bool)
        self._named[named] = True

    def over(self, part: slice, axis: Axis) -> Laid:
        """What lies over the devices at these positions, which are counted from 0 there."""
        _, first, group = np.unique(self._number[part], return_index=True, return_inverse=True)
        first += part.start
        place = self._fleet.place[first].astype(np.int64)
        device = np.where(self._named[first], first, _EVERY)
        blinds, windows = self._blinds.over(place, device), self._windows.over(place, device)
        return Laid(axis, group, blinds, self._unproved(blinds, first), windows)

    def _unproved(self, blinds: _Spans, first: Ints) -> _Spans:
        """When some blind interval meets (s - timeout, s], by the terms in force at s; some are empty."""
        agreed = self._fleet.terms.number[first][blinds.group]
        found = [_Spans(*(np.empty(0, dtype=np.int64) for _ in _Spans._fields))]
        for since, until, timeout in zip(*_terms_by_position(self._fleet.terms.lists), strict=True):
            some = np.flatnonzero(since[agreed] < FOREVER)
            own = agreed[some]
            start = np.maximum(blinds.start[some], since[own])
            end = np.minimum(blinds.end[some] + timeout[own], until[own])
            found.append(_Spans(blinds.group[some], start, end))
        return _Spans(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _terms_by_position(lists: Sequence[tuple[Terms, ...]]) -> tuple[Ints, Ints, Ints]:
    """Since when, until when and with which timeout the first, second, … terms of each list are in force.

    Those that a list has not are in force from `FOREVER` on.
    """
    shape = max(map(len, lists), default=0), len(lists)
    since, until = (np.full(shape, FOREVER, dtype=np.int64) for _ in range(2))
    timeout = np.zeros(shape, dtype=np.int64)
    for number, agreed in enumerate(lists):
        for position, terms in enumerate(agreed):
            since[position, number] = terms.since if position else -FOREVER
            timeout[position, number] = terms.timeout
            if position:
                until[position - 1, number] = terms.since
    return since, until, timeout


class _Entries:
    """Blind intervals or windows in columns, with the places or the device that each is about."""

    def __init__(self, fleet: Fleet, entries: Sequence[Blind | Maintenance]) -> None:
        self._start = np.array([entry.start for entry in entries], dtype=np.int64)
        self._end = np.array([entry.end for entry in entries], dtype=np.int64)
        places: dict[Scope, Flags] = {}
        for entry in entries:
            if entry.scope not in places:
                places[entry.scope] = np.array(
                    [covers_place(entry.scope, p) for p in fleet.places], dtype=bool
                )
        covering = [places[entry.scope] for entry in entries]
        self._places: Flags = np.array(covering, dtype=bool).reshape(len(entries), len(fleet.places))
        self.device = np.full(len(entries), _EVERY, dtype=np.int64)
        naming = [at for at, entry in enumerate(entries) if entry.scope.device is not None]
        if naming:
            self.device[naming] = fleet.positions([entries[at].scope.device or "" for at in naming])

    def over(self, place: Ints, device: Ints) -> _Spans:
        """Those that cover each group; a group is the devices of a place, or the single device named."""
        wide, naming = np.flatnonzero(self.device == _EVERY), np.flatnonzero(self.device >= 0)
        entry, group = np.nonzero(self._places[wide][:, place])
        entry = wide[entry]
        if len(naming) and len(device):
            # Groups of single devices come last, in order of device.
            at = np.minimum(np.searchsorted(device, self.device[naming]), len(device) - 1)
            own = (device[at] == self.device[naming]) & self._places[naming, place[at]]
            entry, group = np.append(entry, naming[own]), np.append(group, at[own])
        return _Spans(group, self._start[entry], self._end[entry])

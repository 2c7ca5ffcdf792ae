"""What lies over presence in operation: coverage and accounting of many devices, in columns."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.columns import ABSENT, Flags, Ints
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, FOREVER, Blind, Maintenance, Scope, State, known_maintenance

NORMAL = -1
"""In an accounting column: nothing lies over presence."""


class Hearing:
    """The known blind intervals, ready to be asked how long each device has gone unheard.

    Devices that the same intervals are about are a class. There are few, whatever the size of the fleet: all
    devices of a place are of one, but for those that an interval names.
    """

    def __init__(self, fleet: Fleet, blinds: Sequence[Blind]) -> None:
        self._fleet = fleet
        self._general = [(b.start, b.end) for b in blinds if not any(b.scope)]
        self._numbers: dict[tuple[tuple[int, int], ...], int] = {}
        self._starts: list[Ints] = []
        self._ends: list[Ints] = []
        wide = [b for b in blinds if any(b.scope) and b.scope.device is None]
        of_place = [
            tuple((b.start, b.end) for b in wide if covers_place(b.scope, place)) for place in fleet.places
        ]
        self._of_place = np.array([self._class(entries) for entries in of_place], dtype=np.int64)
        naming = [b for b in blinds if b.scope.device is not None]
        own: dict[int, list[tuple[int, int]]] = {}
        where = fleet.positions([b.scope.device or "" for b in naming])
        for blind, position in zip(naming, where.tolist(), strict=True):
            if position >= 0 and covers_place(blind.scope, fleet.places[fleet.place[position]]):
                own.setdefault(position, []).append((blind.start, blind.end))
        self._named: Ints = np.array(sorted(own), dtype=np.int64)
        self._of_named: Ints = np.array(
            [self._class((*of_place[fleet.place[at]], *own[at])) for at in self._named.tolist()],
            dtype=np.int64,
        )

    def deaf_until(self, positions: Ints, at: Ints) -> Ints:
        """The greatest end of the blind intervals of each device that began by `at`, `ABSENT` for none."""
        if len(self._starts) == 1:
            return self._greatest_end(0, at)
        classes = self._of_place[self._fleet.place[positions]]
        if len(self._named):
            place = np.minimum(np.searchsorted(self._named, positions), len(self._named) - 1)
            classes = np.where(self._named[place] == positions, self._of_named[place], classes)
        result = np.full(len(positions), ABSENT, dtype=np.int64)
        for number in np.unique(classes).tolist():
            chosen = classes == number
            result[chosen] = self._greatest_end(number, at[chosen])
        return result

    def _greatest_end(self, number: int, at: Ints) -> Ints:
        return self._ends[number][np.searchsorted(self._starts[number], at, side="right")]

    def _class(self, scoped: tuple[tuple[int, int], ...]) -> int:
        """The number of the class that these intervals are about, and those about everything."""
        scoped = tuple(sorted(scoped))
        number = self._numbers.get(scoped)
        if number is None:
            number = self._numbers[scoped] = len(self._numbers)
            entries = sorted((*self._general, *scoped))
            self._starts.append(np.array([start for start, _ in entries], dtype=np.int64))
            ends = np.array([ABSENT, *(end for _, end in entries)], dtype=np.int64)
            self._ends.append(np.maximum.accumulate(ends))
        return number


def covered(fleet: Fleet, scopes: Collection[Scope]) -> Flags:
    """Which devices some scope covers (twin: `Scope.covers`)."""
    wide = [scope for scope in scopes if scope.device is None]
    places = np.array([any(covers_place(s, place) for s in wide) for place in fleet.places], dtype=bool)
    flags: Flags = places[fleet.place]
    # A building has many devices, each named by a scope of its own.
    naming = [scope for scope in scopes if scope.device is not None]
    where = fleet.positions([scope.device or "" for scope in naming])
    for scope, position in zip(naming, where.tolist(), strict=True):
        if position >= 0 and covers_place(scope, fleet.places[fleet.place[position]]):
            flags[position] = True
    return flags


def covers_place(scope: Scope, place: tuple[str, str]) -> bool:
    """Whether a scope, of whatever device, is about a community and kind."""
    community, kind = place
    return scope.community in (None, community) and scope.kind in (None, kind)


class Accounting:
    """Life cycle and maintenance (rule 9), and when either changes next."""

    def __init__(self, fleet: Fleet, maintenance: Sequence[Maintenance]) -> None:
        self._fleet = fleet
        self._maintenance = maintenance
        others = {
            *(terms.since for agreed in fleet.terms.lists for terms in agreed),
            *(edge for m in maintenance for edge in (m.start, m.end, m.recorded, m.cancelled)),
        }
        self._edges: Ints = np.array(sorted(others), dtype=np.int64)
        for column in self._life():
            self._edges = np.union1d(self._edges, column)
        self._edges = self._edges[(self._edges > EVER) & (self._edges < FOREVER)].copy()

    def at(self, now: int) -> NDArray[np.int8]:
        """For each device the State that lies over its presence, or `NORMAL`."""
        fleet = self._fleet
        over = np.full(len(fleet), NORMAL, dtype=np.int8)
        scopes = {w.scope for w in known_maintenance(self._maintenance, now) if w.start <= now < w.end}
        over[covered(fleet, scopes)] = State.EXCLUDED
        over[(fleet.retired_recorded <= now) & (fleet.retired <= now)] = State.RETIRED
        over[(now < fleet.commissioned_recorded) | (now < fleet.commissioned)] = State.NOT_COMMISSIONED
        return over

    def next_edge(self, now: int) -> int:
        """The next instant after `now` at which `at` or the terms may differ; `FOREVER` for none."""
        place = int(np.searchsorted(self._edges, now, side="right"))
        return int(self._edges[place]) if place < len(self._edges) else FOREVER

    def _life(self) -> tuple[NDArray[Any], ...]:
        fleet = self._fleet
        return fleet.commissioned, fleet.commissioned_recorded, fleet.retired, fleet.retired_recorded

"""What lies over presence in operation: coverage and accounting of many devices, in columns."""

from collections.abc import Sequence

import numpy as np

from pulse.ledger.columns import ABSENT, Flags, Ints
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Maintenance, Scope, State, known_maintenance

NORMAL = -1
"""In an accounting column: nothing lies over presence."""


class Groups:
    """Devices by community and kind as numbers, so that a scope is a comparison of columns."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.communities = sorted({d.community for d in devices})
        self.kinds = sorted({d.kind for d in devices})
        self._position = {d.id: i for i, d in enumerate(devices)}
        by_community = {name: i for i, name in enumerate(self.communities)}
        by_kind = {name: i for i, name in enumerate(self.kinds)}
        self.community: Ints = np.array([by_community[d.community] for d in devices], dtype=np.int64)
        self.kind: Ints = np.array([by_kind[d.kind] for d in devices], dtype=np.int64)
        self._by_community, self._by_kind = by_community, by_kind

    def covered(self, scope: Scope) -> Flags:
        """Which devices a scope covers (twin: `Scope.covers`)."""
        chosen = np.ones(len(self.community), dtype=bool)
        if scope.community is not None:
            chosen &= self.community == self._by_community.get(scope.community, -1)
        if scope.kind is not None:
            chosen &= self.kind == self._by_kind.get(scope.kind, -1)
        if scope.device is not None:
            one = np.zeros_like(chosen)
            if scope.device in self._position:
                one[self._position[scope.device]] = True
            chosen &= one
        return chosen


class Hearing:
    """The known blind intervals, ready to be asked how long each device has gone unheard."""

    def __init__(self, groups: Groups, blinds: Sequence[Blind]) -> None:
        scoped = [b for b in blinds if any(b.scope)]
        general = [b for b in blinds if not any(b.scope)]
        count = len(groups.community)
        self._class: Ints = np.zeros(count, dtype=np.int64)
        classes: list[list[Blind]] = [general]
        if scoped and count:
            masks = np.array([groups.covered(b.scope) for b in scoped])
            kinds, inverse = np.unique(masks, axis=1, return_inverse=True)
            self._class = inverse.reshape(-1).astype(np.int64)
            classes = [
                general + [b for b, applies in zip(scoped, kinds[:, column], strict=True) if applies]
                for column in range(kinds.shape[1])
            ]
        self._starts: list[Ints] = []
        self._ends: list[Ints] = []
        for entries in classes:
            entries.sort(key=lambda b: (b.start, b.end))
            self._starts.append(np.array([b.start for b in entries], dtype=np.int64))
            ends = np.array([b.end for b in entries], dtype=np.int64)
            self._ends.append(np.maximum.accumulate(ends) if len(ends) else ends)

    def deaf_until(self, positions: Ints, at: Ints) -> Ints:
        """The greatest end of the blind intervals of each device that began by `at`, `ABSENT` for none."""
        result = np.full(len(positions), ABSENT, dtype=np.int64)
        classes = self._class[positions]
        for number in np.unique(classes).tolist():
            chosen = classes == number
            place = np.searchsorted(self._starts[number], at[chosen], side="right") - 1
            found = np.full(len(place), ABSENT, dtype=np.int64)
            found[place >= 0] = self._ends[number][place[place >= 0]]
            result[chosen] = found
        return result


class Accounting:
    """Life cycle and maintenance (rule 9), and when either changes next."""

    def __init__(self, groups: Groups, devices: Sequence[Device], maintenance: Sequence[Maintenance]) -> None:
        def column(values: Sequence[int]) -> Ints:
            return np.array(values, dtype=np.int64)

        self._groups = groups
        self._maintenance = maintenance
        self._commissioned = column([d.commissioned for d in devices])
        self._commissioned_recorded = column([d.commissioned_recorded for d in devices])
        self._retired = column([FOREVER if d.retired is None else d.retired for d in devices])
        self._retired_recorded = column([d.retired_recorded for d in devices])
        edges = {
            *(t.since for d in devices for t in d.terms),
            *self._commissioned.tolist(),
            *self._commissioned_recorded.tolist(),
            *self._retired.tolist(),
            *self._retired_recorded.tolist(),
            *(edge for m in maintenance for edge in (m.start, m.end, m.recorded, m.cancelled)),
        }
        self._edges = sorted(e for e in edges if EVER < e < FOREVER)

    def at(self, now: int) -> Ints:
        """For each device the State that lies over its presence, or `NORMAL`."""
        over = np.full(len(self._commissioned), NORMAL, dtype=np.int64)
        for window in known_maintenance(self._maintenance, now):
            if window.start <= now < window.end:
                over[self._groups.covered(window.scope)] = State.EXCLUDED
        over[(self._retired_recorded <= now) & (self._retired <= now)] = State.RETIRED
        over[(now < self._commissioned_recorded) | (now < self._commissioned)] = State.NOT_COMMISSIONED
        return over

    def next_edge(self, now: int) -> int:
        """The next instant after `now` at which `at` or the terms may differ; `FOREVER` for none."""
        place = np.searchsorted(np.array(self._edges, dtype=np.int64), now, side="right")
        return self._edges[place] if place < len(self._edges) else FOREVER

"""What the data-sharing ratio is worked out from, read in one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from pulse.indicators.books import Consulted
from pulse.indicators.within import Within, covers
from pulse.ledger.answer import Stretch, timeline
from pulse.ledger.columns import Flags
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import FOREVER
from pulse.ledger.totals import in_service
from pulse.sharing import ratio
from pulse.sharing.catalogue import Catalogue, DataKind
from pulse.sharing.ratio import Answer
from pulse.sharing.receipts import Acknowledged
from pulse.stores.relational import intervals, receipts, registry


class Asked(NamedTuple):
    """An instant as known at a time; with `head`, by the receipts numbered up to it."""

    at_us: int
    known_us: int
    within: Within = None
    head: int | None = None

    @property
    def known(self) -> receipts.Known:
        """What is known of receipts."""
        return receipts.Known(self.known_us, self.head)


class Looked(NamedTuple):
    """A device's states through `[from_us, at]`, which a statement was held against."""

    device: str
    community: str
    from_us: int
    stretches: Sequence[Stretch]


class Found(NamedTuple):
    """An answer, and all that it was made of. `counts` are devices in service by community and kind."""

    answer: Answer
    kinds: Mapping[str, DataKind]
    counts: Mapping[tuple[str, str], int]
    acknowledged: Mapping[str, Sequence[Acknowledged]]
    looked: Sequence[Looked]


def worked_out(connection: Connection, books: Consulted, catalogue: Catalogue, asked: Asked) -> Found:
    """The ratio at an instant."""
    kinds = catalogue.in_force(asked.at_us, asked.known_us)
    serving = _serving(books.fleet, asked)
    sources = {source for kind in kinds.values() for source in kind.sources}
    counts = {
        place: amount
        for place, amount in _counted(books.fleet, serving)
        if place[1] in sources and covers(asked.within, place[0])
    }
    having: dict[str, set[str]] = {}
    for community, kind in counts:
        having.setdefault(kind, set()).add(community)
    acknowledged = {
        name: [
            one
            for one in receipts.deciding(connection, kind, asked.at_us, asked.known)
            if covers(asked.within, one.part.community)
        ]
        for name, kind in kinds.items()
    }
    communities = [c.id for c in registry.communities(connection) if covers(asked.within, c.id)]
    watch = _Watch(connection, books, serving, asked)
    found = ratio.answer(kinds, acknowledged, having, communities, watch, asked.at_us)
    edges = [found.next_us, *_edges(books.fleet, catalogue, asked)]
    next_us = min((edge for edge in edges if edge is not None), default=None)
    for name, stated in watch.stated.items():
        acknowledged[name] = _once([*acknowledged[name], *stated])
    return Found(found._replace(next_us=next_us), kinds, counts, acknowledged, watch.looked())


class _Watch:
    """Statements and states, read when they are asked for; a kind's in a community together."""

    def __init__(self, connection: Connection, books: Consulted, serving: Flags, asked: Asked) -> None:
        self._connection = connection
        self._books = books
        self._serving = serving
        self._asked = asked
        self._at_us = asked.at_us
        self.stated: dict[str, list[Acknowledged]] = {}
        """The statements that were looked at, by kind."""
        self._groups: dict[tuple[str, str], list[str]] = {}
        self._timelines: dict[str, Looked] = {}

    def statements(self, kind: DataKind, community: str) -> Iterator[Acknowledged]:
        found = receipts.statements(self._connection, kind, community, self._at_us, self._asked.known)
        for one in found:
            self.stated.setdefault(kind.id, []).append(one)
            yield one

    def sources(self, kind: DataKind, community: str) -> Sequence[str]:
        key = (kind.id, community)
        if key not in self._groups:
            fleet = self._books.fleet
            places = fleet.place_numbers([(community, source) for source in kind.sources])
            chosen = np.flatnonzero(self._serving & np.isin(fleet.place, places[places >= 0]))
            self._groups[key] = [fleet.id(position) for position in chosen.tolist()]
            self._read(self._groups[key], self._at_us - kind.freshness_us)
        return self._groups[key]

    def states(self, device: str) -> Sequence[Stretch]:
        return self._timelines[device].stretches

    def looked(self) -> list[Looked]:
        """What was asked for, by device."""
        return [self._timelines[device] for device in sorted(self._timelines)]

    def _read(self, devices: Sequence[str], from_us: int) -> None:
        # A device may be a source of kinds with other windows: the longest holds them all.
        wanted = [d for d in devices if d not in self._timelines or self._timelines[d].from_us > from_us]
        known, to_us = self._books.known, self._at_us + 1
        found = intervals.runs(self._connection, from_us, to_us, known.known_at, wanted)
        for name in wanted:
            device = self._books.fleet[name]
            runs = self._books.ended(found.get(name, ()))
            listening, windows = known.listening(device), known.maintenance(device)
            stretches = timeline(device, runs, listening, windows, from_us, to_us, known.known_at)
            self._timelines[name] = Looked(name, device.community, from_us, stretches)


def _once(parts: Iterable[Acknowledged]) -> list[Acknowledged]:
    """Each of them once, in order of number and community."""
    found = {(one.number, one.part.community): one for one in parts}
    return [found[key] for key in sorted(found)]


def _serving(fleet: Fleet, asked: Asked) -> Flags:
    """Which devices are in service at the instant."""
    low, high = in_service(fleet, asked.at_us, asked.at_us + 1, asked.known_us)
    serving: Flags = low < high
    return serving


def _counted(fleet: Fleet, serving: Flags) -> Iterator[tuple[tuple[str, str], int]]:
    amounts = np.bincount(fleet.place[serving], minlength=len(fleet.places)).tolist()
    return ((place, amount) for place, amount in zip(fleet.places, amounts, strict=True) if amount)


def _edges(fleet: Fleet, catalogue: Catalogue, asked: Asked) -> Iterator[int]:
    """The next moments at which, by what is known, a device enters or leaves service, or a version holds."""
    for column in (fleet.commissioned, fleet.retired):
        later = column[(column > asked.at_us) & (column < FOREVER)]
        if len(later):
            yield int(later.min())
    for name in catalogue.ids():
        for version in catalogue.history(name):
            if version.since_us > asked.at_us and version.recorded_us <= asked.known_us:
                yield version.since_us

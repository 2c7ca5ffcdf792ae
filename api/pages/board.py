"""What the overview and the wall show of one instant: the rate, its parts, and who is down."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from api.context import Context
from api.pages.bars import Segment, bar
from api.present import Present
from pulse.clock import MINUTE_US, to_iso
from pulse.indicators.books import AsOf
from pulse.indicators.online_rate import DeviceStatus
from pulse.indicators.within import Kept, Within, covers
from pulse.ledger.model import State
from pulse.registry.model import Community, DeviceRecord, Discovered, Kind
from pulse.stores.relational import registry

DOWN = frozenset({State.OFFLINE.slug, State.FAULT.slug})
_FRESH_US = MINUTE_US


class Figures(NamedTuple):
    """A rate with all that it is made of; `percent` None without a device in service."""

    running: int
    total: int
    percent: str | None
    percent_upper: str | None
    determined: bool
    states: Mapping[str, int]
    segments: list[Segment]


class Part(NamedTuple):
    """The rate of a community or kind."""

    id: str
    name: Community | Kind | None
    figures: Figures


class Listed(NamedTuple):
    """A device as a row shows it; `fresh` if it has been so for less than a minute."""

    record: DeviceRecord
    status: DeviceStatus
    community: Community | None
    kind: Kind | None
    fresh: bool = False


class Names(NamedTuple):
    """Communities and kinds by id."""

    communities: Mapping[str, Community]
    kinds: Mapping[str, Kind]

    def listed(self, record: DeviceRecord, status: DeviceStatus, at_us: int) -> Listed:
        """The row of a device."""
        fresh = status.since_us is not None and at_us - status.since_us < _FRESH_US
        return Listed(
            record, status, self.communities.get(status.community), self.kinds.get(status.kind), fresh
        )


class Board(NamedTuple):
    """One instant, whole: every number on the page is of `as_of.at_us`."""

    as_of: AsOf
    whole: Figures
    adjusted: Mapping[str, Any]
    score: Mapping[str, Any]
    planned: int | None
    late: Mapping[str, Any]
    communities: list[Part]
    kinds: list[Part]
    down: list[Listed]
    devices: int
    """How many are registered."""
    inbox: list[Discovered]
    """Read while none is registered."""


class Boards:
    """The newest board, gathered once for every reader who asks meanwhile. May be used from any thread."""

    def __init__(self, context: Context, present: Present) -> None:
        self._context = context
        self._present = present
        self._lock = threading.Lock()
        self._kept: Kept[tuple[list[DeviceStatus], Board]] = Kept()

    def now(self, within: Within) -> Board:
        """The board of this moment for readers of the communities `within`.

        The inbox is read anew, since it grows without any device's state.
        """
        with self._lock:
            as_of, statuses = self._present.devices(within)
            kept = self._kept.get(within)
            if kept is None or kept[0] is not statuses:
                kept = self._kept.put(within, (statuses, board(self._context, as_of, statuses, within)))
            gathered = kept[1]
        if gathered.devices:
            return gathered
        with self._context.db.read() as connection:
            return gathered._replace(inbox=registry.inbox(connection, communities=within))


def board(context: Context, as_of: AsOf, statuses: Sequence[DeviceStatus], within: Within) -> Board:
    """Gather the page's figures, all of the instant of `as_of` and of the communities `within`."""
    rate = context.rate.instant(within=within)
    if rate["at"] != to_iso(as_of.at_us):
        rate = context.rate.instant(as_of.at_us, within=within)
    names = read_names(context, within)
    records = read_records(context, within)
    down = [
        names.listed(records[status.device], status, as_of.at_us)
        for status in statuses
        if status.state in DOWN and status.device in records
    ]
    # What went down last comes first; what was never heard has no time and comes last.
    down.sort(key=lambda row: (-(row.status.since_us or 0), row.record.id))
    return Board(
        as_of=as_of,
        whole=figures(rate),
        adjusted=rate["adjusted"],
        score=rate["score"],
        planned=rate["planned"],
        late=rate["late"],
        communities=_parts(rate["by_community"], names.communities),
        kinds=_parts(rate["by_kind"], names.kinds),
        down=down,
        devices=len(records),
        inbox=[],
    )


def read_names(context: Context, within: Within = None) -> Names:
    """The registry's kinds, and its communities as far as they are `within`."""
    with context.db.read() as connection:
        return Names(
            {own.id: own for own in registry.communities(connection) if covers(within, own.id)},
            {kind.id: kind for kind in registry.kinds(connection)},
        )


def read_records(context: Context, within: Within) -> dict[str, DeviceRecord]:
    """The registry's devices by id, those of the communities `within`."""
    with context.db.read() as connection:
        devices = registry.devices(connection)
    return {device.id: device for device in devices if covers(within, device.community)}


def figures(rate: Mapping[str, Any]) -> Figures:
    """The figures of an answer of the online rate, or of a part of it."""
    return Figures(
        rate["running"],
        rate["total"],
        rate["percent"],
        rate["percent_upper"],
        rate["determined"],
        rate["states"],
        bar(rate["states"]),
    )


def _parts(rates: Mapping[str, Any], names: Mapping[str, Community] | Mapping[str, Kind]) -> list[Part]:
    """Parts with a device in service, the largest first."""
    parts = [Part(id_, names.get(id_), figures(rate)) for id_, rate in rates.items() if rate["total"]]
    parts.sort(key=lambda part: (-part.figures.total, part.id))
    return parts

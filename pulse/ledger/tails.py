"""The last runs of all devices, in columns: what the engine knows of each between two messages."""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulse.errors import BadInput
from pulse.ledger.columns import ABSENT, NOTHING, Flags, Ints, PieceColumns
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Evidence, Run, State
from pulse.ledger.tail import Tail
from pulse.ledger.terms import TermsColumns

WORDS = list(Evidence)

_VERSION = 3
_KEPT: dict[str, Any] = {
    **dict.fromkeys(
        ("start", "since", "end", "recorded", "last_at", "observed", "order", "changed"), np.int64
    ),
    **dict.fromkeys(("evidence", "state", "open"), np.int8),
}
"""The columns of a snapshot, little-endian, in this order."""

_HEAD = struct.Struct("<16sQQQ")
_MAGIC = b"pulse ledger"


class _Head(NamedTuple):
    version: int
    devices: int
    id_bytes: int


class Tails:
    """One element a device in every column, 75 bytes in all.

    `evidence` (`NOTHING` before any), `start`, `since`, `end`, `recorded` are the last run's, `last_at`,
    `observed` and `order` those of `Tail`; `state` is what people were told and `changed` since when; `open`
    is 1 while the run's stored row has no end; since `normal_since` nothing lies over presence.
    """

    def __init__(self, count: int) -> None:
        self.columns: dict[str, NDArray[Any]] = {
            name: np.full(count, ABSENT if kind is np.int64 else 0, dtype=kind)
            for name, kind in {**_KEPT, "normal_since": np.int64}.items()
        }
        self.columns["evidence"][:] = NOTHING
        self.columns["state"][:] = State.UNKNOWN
        self.columns["order"][:] = -1

    def get(self, position: int) -> Tail | None:
        """The tail of one device, None if nothing was heard of it."""
        c = self.columns
        if c["evidence"][position] == NOTHING:
            return None
        run = Run(
            int(c["start"][position]),
            int(c["end"][position]),
            WORDS[c["evidence"][position]],
            int(c["since"][position]),
            int(c["recorded"][position]),
        )
        return Tail(run, int(c["last_at"][position]), int(c["observed"][position]), int(c["order"][position]))

    def runs(self, positions: Ints) -> list[Run]:
        """The last runs of devices of which something was heard."""
        columns = (
            self.columns[name][positions].tolist()
            for name in ("start", "end", "evidence", "since", "recorded")
        )
        return [
            Run(start, end, WORDS[evidence], since, recorded)
            for start, end, evidence, since, recorded in zip(*columns, strict=True)
        ]

    def put(self, position: int, tail: Tail | None) -> None:
        """Set the tail of one device; None if nothing was heard of it."""
        c = self.columns
        if tail is None:
            for name in ("start", "since", "end", "recorded", "last_at", "observed"):
                c[name][position] = ABSENT
            c["evidence"][position], c["order"][position] = NOTHING, -1
            return
        run = tail.run
        c["evidence"][position] = run.evidence
        c["start"][position], c["end"][position] = run.start, run.end
        c["since"][position], c["recorded"][position] = run.since, run.recorded
        c["last_at"][position] = tail.last_at
        c["observed"][position], c["order"][position] = tail.observed, tail.order

    def move(self, other: "Tails", here: Ints, there: Ints) -> None:
        """Take over the elements `there` of another as those at `here`; its columns are gone then."""
        for name in list(other.columns):
            self.columns[name][here] = other.columns.pop(name)[there]

    def extend(self, proved: PieceColumns, first: Ints, terms: TermsColumns) -> tuple[Flags, Ints]:
        """Prolong, in one go, the runs of all devices whose new evidence only says "still the same".

        `proved` is by device in order of knowing, `first` where each device begins. Says for which devices
        it was enough, and which positions have a run that had ended and is open again. The conditions are
        those of `tail.appended` for a run that continues in place.
        """
        columns, device = self.columns, proved.device
        deadline = proved.at + terms.timeout(device, proved.at)
        begins = np.zeros(len(device), dtype=bool)
        begins[first] = True
        at_before = np.where(begins, columns["last_at"][device], np.roll(proved.at, 1))
        end_before = np.where(begins, columns["end"][device], np.roll(deadline, 1))
        same = (
            (proved.evidence == columns["evidence"][device])
            & (proved.evidence != Evidence.OFFLINE)
            & (proved.at >= at_before)
            & (proved.at <= end_before)
            & ((proved.observed <= end_before) | (proved.observed == columns["recorded"][device]))
            & (deadline >= end_before)
        )
        fresh = (proved.observed > columns["observed"][device]) | (
            (proved.observed == columns["observed"][device]) & (proved.order >= columns["order"][device])
        )
        simple: Flags = np.logical_and.reduceat(same & fresh, first)
        last = np.append(first[1:], len(device)) - 1
        chosen = last[simple]
        positions = device[chosen]
        columns["last_at"][positions] = proved.at[chosen]
        columns["observed"][positions] = proved.observed[chosen]
        columns["order"][positions] = proved.order[chosen]
        columns["end"][positions] = deadline[chosen]
        reopened: Ints = positions[columns["open"][positions] == 0]
        columns["open"][reopened] = 1
        return simple, reopened

    def alike(self, proved: PieceColumns, first: Ints, terms: TermsColumns) -> Flags:
        """For which devices each piece after the first only prolongs the run that the first one leaves.

        The conditions of `extend` within a batch; whether they hold for the run that the first piece really
        leaves is for `extend` to say.
        """
        deadline = proved.at + terms.timeout(proved.device, proved.at)
        count = np.diff(np.append(first, len(proved.device)))
        at_first = np.repeat(first, count)
        before = np.maximum(np.arange(len(proved.device)) - 1, at_first)
        same = (
            (proved.evidence == proved.evidence[at_first])
            & (proved.evidence != Evidence.OFFLINE)
            & (proved.at >= proved.at[before])
            & (proved.at <= deadline[before])
            & ((proved.observed <= deadline[before]) | (proved.observed == proved.observed[at_first]))
            & (deadline >= deadline[before])
        )
        found: Flags = np.logical_and.reduceat(same, first)
        return found

    def packed(self, fleet: Fleet) -> Iterator[memoryview]:
        """Everything as pieces of bytes, good until the columns change; `fleet` has their devices."""
        yield memoryview(_HEAD.pack(_MAGIC, _VERSION, len(fleet), fleet.index.ids.itemsize))
        for name in _KEPT:
            yield self.columns[name].view(np.uint8).data
        yield fleet.index.ids.view(np.uint8).data

    def unpack(self, packed: memoryview, fleet: Fleet) -> Ints:
        """Take over what `packed` gave, joined, for the devices that are in `fleet`; the positions of others.

        Raises `BadInput` if it is none of ours; then nothing has changed.
        """
        head = _head(packed)
        at = _HEAD.size
        kept: dict[str, NDArray[Any]] = {}
        for name, kind in _KEPT.items():
            kept[name] = np.frombuffer(packed, dtype=kind, count=head.devices, offset=at)
            at += kept[name].nbytes
        ids = np.frombuffer(packed, dtype=f"S{head.id_bytes}", count=head.devices, offset=at)
        here = fleet.index.located_ids(ids)
        there = np.flatnonzero(here >= 0)
        for name, column in kept.items():
            self.columns[name][here[there]] = column[there]
        absent = np.ones(len(fleet), dtype=bool)
        absent[here[there]] = False
        return np.flatnonzero(absent)


def _head(packed: memoryview) -> _Head:
    if len(packed) < _HEAD.size:
        raise BadInput("not a snapshot of the ledger: too short")
    magic, *members = _HEAD.unpack_from(packed)
    head = _Head(*members)
    if magic.rstrip(b"\0") != _MAGIC:
        raise BadInput("not a snapshot of the ledger")
    if head.version != _VERSION:
        raise BadInput(f"a snapshot of version {head.version}; this program reads {_VERSION}")
    a_device = sum(np.dtype(kind).itemsize for kind in _KEPT.values()) + head.id_bytes
    if head.id_bytes < 1 or len(packed) != _HEAD.size + head.devices * a_device:
        raise BadInput("not a snapshot of the ledger: its columns are of different lengths")
    return head

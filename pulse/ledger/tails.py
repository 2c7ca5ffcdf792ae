"""The last runs of all devices, in columns: what the engine knows of each between two messages."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from pulse.errors import BadInput
from pulse.ledger.columns import ABSENT, NOTHING, Flags, Ints, PieceColumns
from pulse.ledger.model import Evidence, Run, State
from pulse.ledger.tail import Tail
from pulse.ledger.terms import TermsColumns

WORDS = list(Evidence)

_VERSION = 2
_KEPT = (
    "evidence", "start", "since", "end", "recorded", "last_at", "observed", "order", "state", "changed",
    "open",
)  # fmt: skip


class _Packed(msgspec.Struct, array_like=True):
    version: int
    devices: list[str]
    columns: dict[str, bytes]


class Tails:
    """One element a device in every column.

    `evidence` (`NOTHING` before any), `start`, `since`, `end`, `recorded` are the last run's, `last_at`,
    `observed` and `order` those of `Tail`; `state` is what people were told and `changed` since when; `open`
    is 1 while the run's stored row has no end; since `normal_since` nothing lies over presence.
    """

    def __init__(self, count: int) -> None:
        self.columns: dict[str, Ints] = {
            name: np.full(count, ABSENT, dtype=np.int64) for name in (*_KEPT, "normal_since")
        }
        self.columns["evidence"][:] = NOTHING
        self.columns["state"][:] = State.UNKNOWN
        self.columns["order"][:] = -1
        self.columns["open"][:] = 0

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

    def put(self, position: int, tail: Tail) -> None:
        """Set the tail of one device."""
        run, c = tail.run, self.columns
        c["evidence"][position] = run.evidence
        c["start"][position], c["end"][position] = run.start, run.end
        c["since"][position], c["recorded"][position] = run.since, run.recorded
        c["last_at"][position] = tail.last_at
        c["observed"][position], c["order"][position] = tail.observed, tail.order

    def take(self, here: Ints, other: "Tails", there: Ints) -> None:
        """Copy the elements `there` of another to `here`."""
        for name, column in other.columns.items():
            self.columns[name][here] = column[there]

    def extend(self, proved: PieceColumns, first: Ints, terms: TermsColumns) -> Flags:
        """Prolong, in one go, the runs of all devices whose new evidence only says "still the same".

        `proved` is by device in order of knowing, `first` where each device begins. Says for which
        devices it was enough. The conditions are those of `tail.appended` for a run that continues in place.
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
            & terms.single[device]
            & (columns["open"][device] == 1)
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
        return simple

    def packed(self, devices: Sequence[str]) -> bytes:
        """Everything as bytes; `devices` are the ids in the order of the columns."""
        kept = {name: self.columns[name].tobytes() for name in _KEPT}
        return msgspec.msgpack.encode(_Packed(_VERSION, list(devices), kept))

    def unpack(self, packed: bytes, position: Mapping[str, int]) -> None:
        """Take over what `packed` gave for the devices that have a position.

        Raises `BadInput` if it is none of ours; then nothing has changed.
        """
        try:
            saved = msgspec.msgpack.decode(packed, type=_Packed)
        except msgspec.DecodeError as error:
            raise BadInput(f"not a snapshot of the ledger: {error}") from error
        if saved.version != _VERSION:
            raise BadInput(f"a snapshot of version {saved.version}; this program reads {_VERSION}")
        try:
            kept = {name: np.frombuffer(saved.columns[name], dtype=np.int64) for name in _KEPT}
        except (KeyError, ValueError) as error:
            raise BadInput(f"not a snapshot of the ledger: {error}") from error
        if any(len(column) != len(saved.devices) for column in kept.values()):
            raise BadInput("not a snapshot of the ledger: its columns are of different lengths")
        there = [(position[d], i) for i, d in enumerate(saved.devices) if d in position]
        here = np.array([h for h, _ in there], dtype=np.int64)
        old = np.array([o for _, o in there], dtype=np.int64)
        for name in _KEPT:
            self.columns[name][here] = kept[name][old]

"""Many messages as columns: 65 bytes a message instead of an object of 400, and decisions over arrays.

What is late, odd or asked for by a person is looked at as a `Message`, made when it is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from pulse.errors import BadInput
from pulse.messages import Channel, Evidence, Message

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ABSENT = -(1 << 62)
"""Stands for "no measured time" in its column; no time that a dialect accepts is that early."""

_EVIDENCE = list(Evidence)


class Origin(NamedTuple):
    """Where a message comes from."""

    device: str
    community: str
    kind: str
    channel: Channel


class Metrics(NamedTuple):
    """The metrics of the messages at the positions `rows` that have just these `names`, a column each."""

    names: tuple[str, ...]
    rows: Ints
    values: NDArray[np.float64]


class _Packed(msgspec.Struct, array_like=True):
    origins: msgspec.Raw
    columns: list[bytes]
    faults: dict[int, str]
    metrics: list[tuple[tuple[str, ...], bytes, bytes]]


_TYPES: dict[str, Any] = {
    "origin": np.int32,
    "evidence": np.int8,
    "observed": np.int64,
    "measured": np.int64,
    "retained": np.bool_,
    "queued": np.bool_,
    "identity": np.int64,
    "seq": np.int64,
    "numbered": np.bool_,
}
"""The columns that are kept on disk, little-endian, in this order."""


class MessageColumns(Sequence[Message]):
    """Messages in the order of reception; `Message`s only come into being when one is asked for.

    One element a message in every column: `origin` (a position in `origins`), `evidence`, `observed` and
    `measured` (microseconds, `measured` may be `ABSENT`), `retained`, `queued`, `identity`, `seq` (of those
    that are `numbered`) and `order`. `faults` are by position, `metrics` by the set of their names.
    """

    def __init__(
        self,
        origins: Sequence[Origin],
        columns: Mapping[str, NDArray[Any]],
        faults: Mapping[int, str],
        metrics: Sequence[Metrics],
        order: Ints | None = None,
    ) -> None:
        self.origins = origins
        self.origin: NDArray[np.int32] = columns["origin"]
        self.evidence: NDArray[np.int8] = columns["evidence"]
        self.observed: Ints = columns["observed"]
        self.measured: Ints = columns["measured"]
        self.retained: Flags = columns["retained"]
        self.queued: Flags = columns["queued"]
        self.identity: Ints = columns["identity"]
        self.seq: Ints = columns["seq"]
        self.numbered: Flags = columns["numbered"]
        self.order: Ints = np.zeros(len(self.origin), dtype=np.int64) if order is None else order
        self.faults = faults
        self.metrics = metrics
        self._places: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None
        self._by_device: dict[str, Ints] | None = None

    def __len__(self) -> int:
        return len(self.origin)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> "MessageColumns": ...
    def __getitem__(self, index: int | slice) -> "Message | MessageColumns":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._message(index % len(self))

    def __iter__(self) -> Iterator[Message]:
        return map(self._message, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MessageColumns({list(self)!r})"

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name, `order` left out."""
        return {name: getattr(self, name) for name in _TYPES}

    def dated(self) -> Flags:
        """Which messages carry a time of their own."""
        dated: Flags = self.measured != ABSENT
        return dated

    def with_order(self, first: int) -> "MessageColumns":
        """The same messages with orders of reception counted from `first`."""
        order = np.arange(first, first + len(self), dtype=np.int64)
        return MessageColumns(self.origins, self.columns(), self.faults, self.metrics, order)

    def take(self, chosen: Ints | Flags) -> "MessageColumns":
        """The chosen messages: positions in the order wanted, or one flag a message."""
        positions = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        where = np.full(len(self), -1, dtype=np.int64)
        where[positions] = np.arange(len(positions))
        metrics = []
        for group in self.metrics:
            rows = where[group.rows]
            left = rows >= 0
            if left.any():
                metrics.append(Metrics(group.names, rows[left], group.values[left]))
        faults = {int(where[at]): fault for at, fault in self.faults.items() if where[at] >= 0}
        columns = {name: column[positions] for name, column in self.columns().items()}
        return MessageColumns(self.origins, columns, faults, metrics, self.order[positions])

    def of(self, device: str) -> list[Message]:
        """The messages of one device."""
        if self._by_device is None:
            by_origin = by_number(self.origin)
            edges = np.searchsorted(self.origin[by_origin], np.arange(len(self.origins) + 1))
            found: dict[str, Ints] = {}
            for number, origin in enumerate(self.origins):
                rows = by_origin[edges[number] : edges[number + 1]]
                if len(rows):
                    before = found.get(origin.device)
                    found[origin.device] = rows if before is None else np.sort(np.append(before, rows))
            self._by_device = found
        own = self._by_device.get(device)
        return [] if own is None else [self._message(at) for at in own.tolist()]

    def _message(self, at: int) -> Message:
        measured = int(self.measured[at])
        origin = self.origins[self.origin[at]]
        return Message(
            origin.device,
            origin.community,
            origin.kind,
            _EVIDENCE[self.evidence[at]],
            origin.channel,
            int(self.observed[at]),
            None if measured == ABSENT else measured,
            bool(self.retained[at]),
            bool(self.queued[at]),
            int(self.identity[at]),
            int(self.seq[at]) if self.numbered[at] else None,
            self.faults.get(at),
            self._metrics_of(at),
            int(self.order[at]),
        )

    def _metrics_of(self, at: int) -> dict[str, float] | None:
        if self._places is None:
            group, row = np.full((2, len(self)), -1, dtype=np.int32)
            for number, own in enumerate(self.metrics):
                group[own.rows] = number
                row[own.rows] = np.arange(len(own.rows))
            self._places = group, row
        group, row = self._places
        if group[at] < 0:
            return None
        found = self.metrics[group[at]]
        return dict(zip(found.names, found.values[row[at]].tolist(), strict=True))


class Packing:
    """Messages as bytes and back; remembers the origins of the last batch, as most have the same. One thread
    at a time.
    """

    def __init__(self) -> None:
        self._origins: Sequence[Origin] = ()
        self._packed_origins = msgspec.msgpack.encode(())

    def packed(self, messages: MessageColumns) -> bytes:
        """Everything but the orders."""
        if messages.origins is not self._origins:
            packed = msgspec.msgpack.encode(list(messages.origins))
            self._origins, self._packed_origins = messages.origins, packed
        return msgspec.msgpack.encode(
            _Packed(
                msgspec.Raw(self._packed_origins),
                [np.ascontiguousarray(column).tobytes() for column in messages.columns().values()],
                dict(messages.faults),
                [(g.names, g.rows.astype(np.int32).tobytes(), g.values.tobytes()) for g in messages.metrics],
            )
        )

    def unpacked(self, body: bytes) -> MessageColumns:
        """What `packed` gave; batches with the same origins share them. Raises `BadInput` if it is none."""
        try:
            saved = msgspec.msgpack.decode(body, type=_Packed)
            self._take_origins(bytes(saved.origins))
            columns = {
                name: np.frombuffer(column, dtype=kind)
                for (name, kind), column in zip(_TYPES.items(), saved.columns, strict=True)
            }
            metrics = []
            for names, packed_rows, values in saved.metrics:
                rows = np.frombuffer(packed_rows, dtype=np.int32).astype(np.int64)
                metrics.append(Metrics(names, rows, np.frombuffer(values).reshape(len(rows), len(names))))
        except (msgspec.DecodeError, ValueError) as error:
            raise BadInput(f"not a batch of messages: {error}") from error
        return MessageColumns(self._origins, columns, saved.faults, metrics)

    def _take_origins(self, packed: bytes) -> None:
        if packed != self._packed_origins:
            self._origins = msgspec.msgpack.decode(packed, type=list[Origin])
            self._packed_origins = packed


def columns_of(messages: Sequence[Message]) -> MessageColumns:
    """Messages as columns; what is in columns already comes back as it is."""
    if isinstance(messages, MessageColumns):
        return messages
    numbers: dict[Origin, int] = {}
    groups: dict[tuple[str, ...], tuple[list[int], list[list[float]]]] = {}
    faults = {}
    rows = []
    for at, m in enumerate(messages):
        origin = Origin(m.device, m.community, m.kind, m.channel)
        number = numbers.setdefault(origin, len(numbers))
        measured = ABSENT if m.measured_us is None else m.measured_us
        rows.append(
            (number, m.evidence, m.observed_us, measured, m.retained, m.queued, m.identity)
            + ((0, False) if m.seq is None else (m.seq, True))
            + (m.order,)
        )
        if m.fault is not None:
            faults[at] = m.fault
        if m.metrics:
            own = groups.setdefault(tuple(m.metrics), ([], []))
            own[0].append(at)
            own[1].append(list(m.metrics.values()))
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(_TYPES) + 1)
    columns = {name: table[:, i].astype(kind) for i, (name, kind) in enumerate(_TYPES.items())}
    metrics = [
        Metrics(names, np.array(at, dtype=np.int64), np.array(values, dtype=np.float64))
        for names, (at, values) in groups.items()
    ]
    return MessageColumns(list(numbers), columns, faults, metrics, table[:, -1].copy())


def by_number(numbers: NDArray[np.integer[Any]]) -> Ints:
    """The positions in ascending order of numbers that fit 32 bits and are not negative; a stable order.

    numpy sorts 16 bits by counting, ten times as fast as more of them.
    """
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    if len(numbers) and numbers.max() >> 16:
        order = order[np.argsort((numbers >> 16).astype(np.uint16)[order], kind="stable")]
    return order


def joined(parts: Sequence[MessageColumns]) -> MessageColumns:
    """All messages of the parts, one after the other."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return columns_of(())
    origins, origin = _joined_origins(parts)
    faults, metrics = dict[int, str](), dict[tuple[str, ...], list[Metrics]]()
    begins = 0
    for part in parts:
        faults.update((begins + at, fault) for at, fault in part.faults.items())
        for group in part.metrics:
            metrics.setdefault(group.names, []).append(group._replace(rows=group.rows + begins))
        begins += len(part)
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _TYPES}
    columns["origin"] = origin
    return MessageColumns(
        origins,
        columns,
        faults,
        [
            Metrics(names, np.concatenate([g.rows for g in own]), np.concatenate([g.values for g in own]))
            for names, own in metrics.items()
        ],
        np.concatenate([part.order for part in parts]),
    )


def _joined_origins(parts: Sequence[MessageColumns]) -> tuple[Sequence[Origin], NDArray[np.int32]]:
    """The origins of all parts and the column that refers to them."""
    origins = parts[0].origins
    if all(part.origins is origins for part in parts):
        return origins, np.concatenate([part.origin for part in parts])
    numbers: dict[Origin, int] = {}
    number, columns = numbers.setdefault, []
    for part in parts:
        mapped = [number(one, len(numbers)) for one in part.origins]
        columns.append(np.array(mapped, dtype=np.int32)[part.origin])
    return list(numbers), np.concatenate(columns)

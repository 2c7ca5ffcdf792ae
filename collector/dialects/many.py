"""The native dialect over many messages at once: what is plain goes into columns, a column at a time.

Plain is a heartbeat whose payload is a flat object with a time or a sequence number, no fault code, and
values as they usually are. Everything else is left to `native.decode`, which has the last word on every
message: what is decided here is exactly what it would have said, and a test holds the two together.
"""

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.dialects import alike, native
from collector.dialects.identity import UNKEYED, Identifier, Sums
from collector.received import RETAIN, Publishes
from pulse.batches import ABSENT, Flags, Ints, MessageColumns, Metrics, Origin
from pulse.clock import SECOND_US
from pulse.errors import Refused
from pulse.messages import Channel, Evidence

KNOWN_TOPICS = 131_072
KNOWN_SHAPES = 1_024
FEWEST_ALIKE = 8
"""Fewer messages of one shape are not worth columns."""

_OBJECTS = msgspec.json.Decoder(dict[str, native.Member])
_NUMBERS = frozenset((float, int, bool))
_UNSTORED = frozenset((str, type(None)))
_EXACT = 9_000_000_000_000_000
"""Beyond this a time is out of range, and its product with 1000 might leave 64 bits."""


_Values = Sequence[native.Member] | Ints | NDArray[np.float64]
"""A member of each object."""


class Plain(NamedTuple):
    """The plain ones of a batch, the position of each in it, and the positions of the others."""

    columns: MessageColumns
    positions: Ints
    others: list[int]


class _Shape(NamedTuple):
    """How the members of an object are read; `metrics` are their places among the members."""

    time: int | None
    seq: int | None
    status: int | None
    metrics: tuple[int, ...]


class _Columns:
    """Columns of a batch that are filled group by group; `good` says for which messages they hold."""

    def __init__(self, count: int) -> None:
        self.good: Flags = np.zeros(count, dtype=bool)
        self.measured: Ints = np.full(count, ABSENT, dtype=np.int64)
        self.seq: Ints = np.zeros(count, dtype=np.int64)
        self.numbered: Flags = np.zeros(count, dtype=bool)
        self.evidence: NDArray[np.int8] = np.zeros(count, dtype=np.int8)
        self.metrics: list[Metrics] = []


class _Group:
    """Columns of the messages of one shape; `good` says for which they hold."""

    def __init__(self, count: int) -> None:
        self.good: Flags = np.ones(count, dtype=bool)
        self.measured: Ints = np.full(count, ABSENT, dtype=np.int64)
        self.seq: Ints = np.zeros(count, dtype=np.int64)
        self.evidence: NDArray[np.int8] = np.zeros(count, dtype=np.int8)
        self.names: list[str] = []
        self.values: list[NDArray[np.float64]] = []


class Many:
    """Decodes batches; remembers topics and shapes that repeat, a bounded number. Not for several threads."""

    def __init__(self, max_bytes: int = native.MAX_PAYLOAD_BYTES, identifier: Identifier = UNKEYED) -> None:
        self._max_bytes = max_bytes
        self._identifier = identifier
        self._numbers: dict[bytes, int] = {}
        self._origins: list[Origin] = []
        """The origins of topics, by their numbers."""
        self._shares: Sums = np.empty((2, 0), dtype=np.uint64)
        """What topics have in identities, by their numbers and beyond."""
        self._last: tuple[Ints, list[Origin]] = np.empty(0, dtype=np.int64), []
        """Of the last batch: most have the same origins, and who is given the same list again knows that."""
        self._shapes: dict[tuple[str, ...], _Shape | None] = {}

    def decode(self, publishes: Publishes, *, queued: bool) -> Plain:
        """The plain ones of messages."""
        count, places = len(publishes), publishes.places
        if len(self._numbers) > KNOWN_TOPICS:
            self._numbers, self._origins = {}, []
        topics = publishes.topics()
        found = list(map(self._numbers.get, topics))
        numbers = np.array(
            found if None not in found else [self._learn(topic) for topic in topics], dtype=np.int64
        )
        length = places.end - places.payload
        likely = (numbers >= 0) & (length > 0) & (length <= self._max_bytes) & (places.flags & RETAIN == 0)
        chosen = np.flatnonzero(likely)
        columns = _Columns(count)
        groups, left = alike.read(publishes.data, places.payload[chosen], places.end[chosen])
        for group in groups:
            self._put(columns, group.names, group.columns, chosen[group.rows])
        if len(left):
            self._put_left(columns, publishes, chosen[left])
        return self._plain(columns, publishes, numbers, queued)

    def _learn(self, topic: bytes) -> int:
        """The number of the origin that a heartbeat's topic tells; -1 for one that needs a closer look."""
        number = self._numbers.get(topic)
        if number is not None:
            return number
        try:
            place = native.place(topic.decode())
        except (UnicodeDecodeError, Refused):
            return -1
        if place.channel is not Channel.HEARTBEAT:
            return -1
        # Of communities and kinds there are few, each known once.
        where = sys.intern(place.community), sys.intern(place.kind)
        number = self._numbers[topic] = len(self._origins)
        self._origins.append(Origin(place.device, *where, place.channel))
        if number >= self._shares.shape[1]:
            self._shares = np.pad(self._shares, ((0, 0), (0, max(64, number))))
        self._shares[:, number] = self._identifier.topic(topic)
        return number

    def _origins_of(self, numbers: Ints) -> tuple[list[Origin], Ints]:
        """The origins that have these numbers, and for each number its position among them."""
        distinct, where = np.unique(numbers, return_inverse=True)
        if not np.array_equal(distinct, self._last[0]):
            self._last = distinct, [self._origins[number] for number in distinct.tolist()]
        return self._last[1], where

    def _put_left(self, columns: _Columns, publishes: Publishes, positions: Ints) -> None:
        """Put messages into the columns whose payloads are not alike to the byte: through an object each."""
        members = _objects(publishes.payloads(positions))
        shapes: dict[tuple[str, ...], list[int]] = {}
        for at, one in enumerate(members):
            if one:
                shapes.setdefault(tuple(one), []).append(at)
        for names, own in shapes.items():
            if len(own) >= FEWEST_ALIKE:
                columns_of_members = [[members[at][name] for at in own] for name in names]
                self._put(columns, names, columns_of_members, positions[own])

    def _put(
        self, columns: _Columns, names: tuple[str, ...], members: Sequence[_Values], positions: Ints
    ) -> None:
        """Put the messages of one shape into the columns, as far as they are plain."""
        shape = self._shape(names)
        group = None if shape is None else _read(shape, names, members, len(positions))
        if shape is None or group is None:
            return
        good = group.good
        rows = positions[good]
        columns.good[rows] = True
        columns.measured[rows], columns.seq[rows] = group.measured[good], group.seq[good]
        columns.numbered[rows], columns.evidence[rows] = shape.seq is not None, group.evidence[good]
        if group.names and len(rows):
            values = np.column_stack([column[good] for column in group.values])
            columns.metrics.append(Metrics(tuple(group.names), rows, values))

    def _shape(self, names: tuple[str, ...]) -> _Shape | None:
        if names in self._shapes:
            return self._shapes[names]
        shape = _shape(names)
        if len(self._shapes) >= KNOWN_SHAPES:
            self._shapes.clear()
        self._shapes[names] = shape
        return shape

    def _plain(self, filled: _Columns, publishes: Publishes, numbers: Ints, queued: bool) -> Plain:
        """What the columns hold."""
        count, observed_us, places = len(publishes), publishes.observed_us, publishes.places
        taken = np.flatnonzero(filled.good)
        identity, origin = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int32)
        identity[taken] = self._identifier.of_all(
            publishes.data, places.payload[taken], places.end[taken], self._shares[:, numbers[taken]]
        )
        origins, origin[taken] = self._origins_of(numbers[taken])
        columns = MessageColumns(
            origins,
            {
                "origin": origin,
                "evidence": filled.evidence,
                "observed": np.arange(observed_us, observed_us + count, dtype=np.int64),
                "measured": filled.measured,
                "retained": np.zeros(count, dtype=bool),
                "queued": np.full(count, queued),
                "identity": identity,
                "seq": filled.seq,
                "numbered": filled.numbered,
            },
            {},
            filled.metrics,
        )
        if len(taken) == count:
            return Plain(columns, taken, [])
        return Plain(columns.take(taken), taken, np.flatnonzero(~filled.good).tolist())


def _objects(payloads: Sequence[bytes]) -> list[dict[str, native.Member]]:
    """The objects of payloads, empty for those that are none or need a closer look."""
    decode = _OBJECTS.decode
    try:
        members = list(map(decode, payloads))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        members = [_object(decode, text) for text in payloads]
    # A flat object has a colon a member; more of them may be a member that is given twice.
    return [one if len(one) == text.count(b":") else {} for one, text in zip(members, payloads, strict=True)]


def _object(decode: Callable[[bytes], dict[str, native.Member]], payload: bytes) -> dict[str, native.Member]:
    """The object, or an empty one for what `native.decode` will explain."""
    try:
        return decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _shape(names: tuple[str, ...]) -> _Shape | None:
    """How to read objects with these members; None for those that need a closer look."""
    if "fault" in names or not {"ts", "seq"} & set(names) or len(names) > native.MAX_MEMBERS:
        return None
    places = {name: place for place, name in enumerate(names)}
    metrics = [name for name in names if name not in ("ts", "seq", "status")]
    if not all(map(native.is_metric_name, metrics)):
        return None
    return _Shape(
        places.get("ts"), places.get("seq"), places.get("status"), tuple(places[name] for name in metrics)
    )


def _read(shape: _Shape, names: tuple[str, ...], columns: Sequence[_Values], count: int) -> _Group | None:
    """The members in columns; None if none of them is plain."""
    group = _Group(count)
    try:
        if shape.time is not None:
            _read_time(group, columns[shape.time])
        if shape.seq is not None:
            _read_seq(group, columns[shape.seq])
    except OverflowError:
        return None
    if shape.status is not None:
        _read_status(group, columns[shape.status])
    for place in shape.metrics:
        _read_metric(group, names[place], columns[place])
    return group


def _kinds(column: _Values) -> set[type]:
    """The types of the values of a column."""
    if isinstance(column, np.ndarray):
        return {int} if column.dtype == np.int64 else {float}
    return set(map(type, column))


def _read_time(group: _Group, column: _Values) -> None:
    kinds = _kinds(column)
    if kinds == {int}:
        whole = np.array(column, dtype=np.int64)
        near = (whole > -_EXACT) & (whole < _EXACT)
        whole = np.where(near, whole, 0)
        us = whole * np.where(np.abs(whole) >= int(native.MILLISECONDS_FROM), 1000, SECOND_US)
        group.good &= near
    else:
        if kinds != {float}:
            group.good &= [type(value) is float for value in column]
            column = [value if type(value) is float else 0.0 for value in column]
        number = np.array(column, dtype=np.float64)
        scale = np.where(np.abs(number) >= native.MILLISECONDS_FROM, 1000.0, float(SECOND_US))
        far = np.abs(number) >= _EXACT
        group.good &= ~far
        us = np.rint(np.where(far, 0.0, number) * scale).astype(np.int64)
    group.good &= (us >= native.EARLIEST_US) & (us < native.LATEST_US)
    group.measured = us


def _read_seq(group: _Group, column: _Values) -> None:
    if _kinds(column) != {int}:
        group.good &= [type(value) is int for value in column]
        column = [value if type(value) is int else 0 for value in column]
    group.seq = np.array(column, dtype=np.int64)


def _read_status(group: _Group, column: _Values) -> None:
    if set(column) != {"ok"}:
        group.good &= [value in ("ok", "fault") for value in column]
        group.evidence = np.array(
            [Evidence.FAULT if v == "fault" else Evidence.BEAT for v in column], np.int8
        )


def _read_metric(group: _Group, name: str, column: _Values) -> None:
    kinds = _kinds(column)
    if kinds <= _UNSTORED:
        return
    if not isinstance(column, np.ndarray):
        column = _storable(group, column, kinds)
    values = np.array(column, dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        group.good &= finite
    group.names.append(name)
    group.values.append(values)


def _storable(group: _Group, column: Sequence[native.Member], kinds: set[type]) -> list[float]:
    """The numbers of a column; what is none, or leaves 64 bits, is not good."""
    if not kinds <= _NUMBERS:
        group.good &= [type(value) in _NUMBERS for value in column]
    numbers = [value if isinstance(value, float | int) else 0.0 for value in column]
    if int in kinds and not (min(numbers) >= native.INT64_MIN and max(numbers) <= native.INT64_MAX):
        group.good &= [native.INT64_MIN <= value <= native.INT64_MAX for value in numbers]
        numbers = [value if native.INT64_MIN <= value <= native.INT64_MAX else 0.0 for value in numbers]
    return numbers

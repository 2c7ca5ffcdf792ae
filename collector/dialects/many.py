"""The native dialect over many messages at once: what is plain goes into columns, a column at a time.

Plain is a heartbeat whose payload is a flat object with a time or a sequence number, no fault code, and
values as they usually are. Everything else is left to `native.decode`, which has the last word on every
message: what is decided here is exactly what it would have said, and a test holds the two together.
"""

import sys
from _blake2 import blake2b
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.dialects import native
from collector.received import RETAIN
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

    def __init__(self, max_bytes: int = native.MAX_PAYLOAD_BYTES) -> None:
        self._max_bytes = max_bytes
        self._numbers: dict[bytes, int] = {}
        self._origins: list[Origin] = []
        """The origins of topics, by their numbers."""
        self._last: tuple[Ints, list[Origin]] = np.empty(0, dtype=np.int64), []
        """Of the last batch: most have the same origins, and who is given the same list again knows that."""
        self._shapes: dict[tuple[str, ...], _Shape | None] = {}

    def decode(
        self,
        topics: Sequence[bytes],
        payloads: Sequence[bytes],
        flags: Sequence[int],
        observed_us: int,
        *,
        queued: bool,
    ) -> Plain:
        """The plain ones of messages, the first received at `observed_us`, each next one 1 µs later.

        `flags` are the first bytes of their packets.
        """
        most = self._max_bytes
        if len(self._numbers) > KNOWN_TOPICS:
            self._numbers, self._origins = {}, []
        numbers: list[int] = list(map(self._numbers.get, topics))  # type: ignore[arg-type]
        if None in numbers:
            numbers = [
                self._learn(topic) if number is None else number
                for number, topic in zip(numbers, topics, strict=True)
            ]
        if min(numbers, default=0) >= 0 and _are_plain(payloads, flags, most):
            chosen = list(range(len(topics)))
        else:
            chosen = [
                at
                for at, (number, payload, flag) in enumerate(zip(numbers, payloads, flags, strict=True))
                if number >= 0 and payload and not flag & RETAIN and len(payload) <= most
            ]
        members = self._objects(payloads, chosen)
        alike: dict[tuple[str, ...], list[int]] = {}
        shapes = list(map(tuple, members))
        if len(set(shapes)) == 1:
            alike[shapes[0]] = chosen
        else:
            for at, names in zip(chosen, shapes, strict=True):
                alike.setdefault(names, []).append(at)
        by_position = members if len(chosen) == len(topics) else dict(zip(chosen, members, strict=True))
        return self._columns(alike, by_position, numbers, topics, payloads, observed_us, queued)

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
        self._numbers[topic] = len(self._origins)
        self._origins.append(Origin(place.device, *where, place.channel))
        return len(self._origins) - 1

    def _origins_of(self, numbers: Ints) -> tuple[list[Origin], Ints]:
        """The origins that have these numbers, and for each number its position among them."""
        distinct, where = np.unique(numbers, return_inverse=True)
        if not np.array_equal(distinct, self._last[0]):
            self._last = distinct, [self._origins[number] for number in distinct.tolist()]
        return self._last[1], where

    def _objects(self, payloads: Sequence[bytes], chosen: list[int]) -> list[dict[str, native.Member]]:
        """The objects of the chosen payloads; those that are none, or need a closer look, leave `chosen`."""
        decode = _OBJECTS.decode
        texts = payloads if len(chosen) == len(payloads) else [payloads[at] for at in chosen]
        try:
            members = list(map(decode, texts))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            members = [_object(decode, text) for text in texts]
        # A flat object has a colon a member; more of them may be a member that is given twice.
        if b"".join(texts).count(b":") != sum(map(len, members)):
            members = [
                one if len(one) == text.count(b":") else {} for one, text in zip(members, texts, strict=True)
            ]
        if not all(members):
            chosen[:] = [at for at, one in zip(chosen, members, strict=True) if one]
            members = [one for one in members if one]
        return members

    def _shape(self, names: tuple[str, ...]) -> _Shape | None:
        if names in self._shapes:
            return self._shapes[names]
        shape = _shape(names)
        if len(self._shapes) >= KNOWN_SHAPES:
            self._shapes.clear()
        self._shapes[names] = shape
        return shape

    def _columns(
        self,
        alike: dict[tuple[str, ...], list[int]],
        members: Any,
        numbers: list[int],
        topics: Sequence[bytes],
        payloads: Sequence[bytes],
        observed_us: int,
        queued: bool,
    ) -> Plain:
        count = len(topics)
        good = np.zeros(count, dtype=bool)
        measured, seq = np.full(count, ABSENT, dtype=np.int64), np.zeros(count, dtype=np.int64)
        numbered, evidence = np.zeros(count, dtype=bool), np.zeros(count, dtype=np.int8)
        metrics = []
        for names, positions in alike.items():
            shape = self._shape(names) if len(positions) >= FEWEST_ALIKE else None
            if shape is None:
                continue
            own = members if len(positions) == len(members) else [members[at] for at in positions]
            if isinstance(own, dict):
                own = own.values()
            group = _read(shape, names, [[one[name] for one in own] for name in names])
            if group is None:
                continue
            rows = np.array(positions, dtype=np.int64)[group.good]
            good[rows] = True
            measured[rows], seq[rows] = group.measured[group.good], group.seq[group.good]
            numbered[rows], evidence[rows] = shape.seq is not None, group.evidence[group.good]
            if group.names and len(rows):
                values = np.column_stack([column[group.good] for column in group.values])
                metrics.append(Metrics(tuple(group.names), rows, values))
        identity = np.zeros(count, dtype=np.int64)
        taken = np.flatnonzero(good)
        chosen = taken.tolist()
        if len(chosen) < count:
            topics, payloads = [topics[at] for at in chosen], [payloads[at] for at in chosen]
        digests = b"".join(
            [
                blake2b(topic + b"\0" + payload, digest_size=8).digest()
                for topic, payload in zip(topics, payloads, strict=True)
            ]
        )
        identity[taken] = (np.frombuffer(digests, dtype=">u8") >> np.uint64(1)).astype(np.int64)
        origin = np.zeros(count, dtype=np.int32)
        origins, origin[taken] = self._origins_of(np.array(numbers, dtype=np.int64)[taken])
        columns = MessageColumns(
            origins,
            {
                "origin": origin,
                "evidence": evidence,
                "observed": np.arange(observed_us, observed_us + count, dtype=np.int64),
                "measured": measured,
                "retained": np.zeros(count, dtype=bool),
                "queued": np.full(count, queued),
                "identity": identity,
                "seq": seq,
                "numbered": numbered,
            },
            {},
            metrics,
        )
        if len(chosen) == count:
            return Plain(columns, taken, [])
        return Plain(columns.take(taken), taken, np.flatnonzero(~good).tolist())


def _are_plain(payloads: Sequence[bytes], flags: Sequence[int], most: int) -> bool:
    """Whether every payload is there and short enough, and none is retained."""
    return (
        all(payloads)
        and max(map(len, payloads), default=0) <= most
        and not any(flag & RETAIN for flag in set(flags))
    )


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


def _read(shape: _Shape, names: tuple[str, ...], columns: Sequence[Sequence[native.Member]]) -> _Group | None:
    """The members in columns; None if none of them is plain."""
    group = _Group(len(columns[0]))
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


def _read_time(group: _Group, column: Sequence[Any]) -> None:
    kinds = set(map(type, column))
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


def _read_seq(group: _Group, column: Sequence[Any]) -> None:
    if set(map(type, column)) != {int}:
        group.good &= [type(value) is int for value in column]
        column = [value if type(value) is int else 0 for value in column]
    group.seq = np.array(column, dtype=np.int64)


def _read_status(group: _Group, column: Sequence[Any]) -> None:
    if set(column) != {"ok"}:
        group.good &= [value in ("ok", "fault") for value in column]
        group.evidence = np.array(
            [Evidence.FAULT if v == "fault" else Evidence.BEAT for v in column], np.int8
        )


def _read_metric(group: _Group, name: str, column: Sequence[Any]) -> None:
    kinds = set(map(type, column))
    if kinds <= _UNSTORED:
        return
    if not kinds <= _NUMBERS:
        group.good &= [type(value) in _NUMBERS for value in column]
        column = [value if type(value) in _NUMBERS else 0.0 for value in column]
    if int in kinds and not (min(column) >= native.INT64_MIN and max(column) <= native.INT64_MAX):
        group.good &= [native.INT64_MIN <= value <= native.INT64_MAX for value in column]
        column = [value if native.INT64_MIN <= value <= native.INT64_MAX else 0.0 for value in column]
    values = np.array(column, dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        group.good &= finite
    group.names.append(name)
    group.values.append(values)

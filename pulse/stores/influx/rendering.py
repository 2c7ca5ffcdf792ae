"""Lines of `heartbeat` for many messages at once, column by column."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pulse.batches import Ints, MessageColumns, Metrics, Origin
from pulse.messages import Channel, Evidence
from pulse.stores.influx import receipts
from pulse.stores.influx.lines import HEARTBEAT, LATE, NS_PER_US, STATUS, metric_key, string, tags
from pulse.stores.influx.spans import Spans
from pulse.stores.influx.texts import Lines, Piece, choice, constant, decimal, put_together, strings, whole

_STATUS = [f' status="{STATUS[said]}",receipt="'.encode() for said in product(Channel, Evidence)]


class MessageLines:
    """Renders messages; remembers what repeats: the tags of origins and the names of metrics.

    Not for several threads.
    """

    def __init__(self, remembered: int = 200_000) -> None:
        self._remembered = remembered
        self._tags: dict[Origin, bytes] = {}
        self._keys: dict[str, bytes] = {}

    def render(self, messages: MessageColumns, ns: Ints) -> Lines:
        """The line of each message, at its nanoseconds."""
        count = len(messages)
        if not count:
            return Lines.of(())
        occurring, which = _distinct(messages.origin, len(messages.origins))
        origins = [messages.origins[number] for number in occurring.tolist()]
        channel = np.fromiter((o.channel for o in origins), dtype=np.int64, count=len(origins))
        pieces = [
            constant(HEARTBEAT.encode()),
            choice(self._tags_of(origins), which),
            choice(_STATUS, channel[which] * len(Evidence) + messages.evidence),
            Piece(receipts.packed(messages), receipts.CHARACTERS),
            constant(b'"'),
            *_numbers(messages),
            *(piece for group in messages.metrics for piece in self._metrics(group, count)),
            *_others(messages, ns),
            *_end(ns),
        ]
        return put_together(pieces, count)

    def render_spans(self, origins: Sequence[Origin], spans: Spans, ns: Ints) -> Lines:
        """The line of each span, at its nanoseconds; `origins` are those of its messages."""
        if not len(spans):
            return Lines.of(())
        occurring, which = _distinct(spans.origin, len(origins))
        pieces = [
            constant(LATE.encode()),
            choice(self._tags_of([origins[number] for number in occurring.tolist()]), which),
            *_whole_field(b" received_us", spans.received_us),
            *_whole_field(b",first_ns", spans.first_ns),
            *_whole_field(b",last_ns", spans.last_ns),
            *_whole_field(b",messages", spans.messages),
            *_end(ns),
        ]
        return put_together(pieces, len(spans))

    def _tags_of(self, origins: Sequence[Origin]) -> list[bytes]:
        known = self._tags
        found = list(map(known.get, origins))
        if None not in found:
            return cast(list[bytes], found)
        if len(known) + len(origins) > self._remembered:
            known.clear()
        for origin in origins:
            if origin not in known:
                known[origin] = tags(origin).encode()
        return [known[origin] for origin in origins]

    def _metrics(self, group: Metrics, count: int) -> Iterator[Piece]:
        """The metrics of a group."""
        if not len(group.rows):
            return
        of_all = len(group.rows) == count and bool((group.rows == np.arange(count)).all())
        rows = None if of_all else group.rows
        for name, values in zip(group.names, group.values.T, strict=True):
            yield constant(b",%s=" % self._key(name), rows)
            yield from decimal(values, rows)

    def _key(self, name: str) -> bytes:
        found = self._keys.get(name)
        if found is None:
            if len(self._keys) >= self._remembered:
                self._keys.clear()
            found = self._keys[name] = metric_key(name)
        return found


def _numbers(messages: MessageColumns) -> Iterator[Piece]:
    """The sequence numbers of those that have one."""
    if messages.numbered.all():
        yield from _whole_field(b",seq", messages.seq)
    elif messages.numbered.any():
        rows = np.flatnonzero(messages.numbered)
        yield from _whole_field(b",seq", messages.seq[rows], rows)


def _others(messages: MessageColumns, ns: Ints) -> Iterator[Piece]:
    """What few messages have: a measured time that is not their timestamp, a fault, the retain flag."""
    elsewhere = np.flatnonzero(messages.dated() & (messages.measured != ns // NS_PER_US))
    if len(elsewhere):
        yield from _whole_field(b",measured_us", messages.measured[elsewhere], elsewhere)
    if messages.faults:
        texts = [f",fault={string(fault)}".encode() for fault in messages.faults.values()]
        yield strings(texts, np.fromiter(messages.faults, dtype=np.int64))
    if messages.retained.any():
        yield constant(b",retained=t", np.flatnonzero(messages.retained))


def _whole_field(name: bytes, numbers: Ints, rows: Ints | None = None) -> Iterator[Piece]:
    yield constant(b"%s=" % name, rows)
    yield whole(numbers, rows)
    yield constant(b"i", rows)


def _end(ns: Ints) -> Iterator[Piece]:
    yield constant(b" ")
    yield whole(ns)
    yield constant(b"\n")


def _distinct(numbers: NDArray[np.integer[Any]], count: int) -> tuple[Ints, Ints]:
    """Which of so many numbers occur, and for each number its position among them."""
    occurs = np.zeros(count, dtype=bool)
    occurs[numbers] = True
    occurring = np.flatnonzero(occurs)
    position = np.empty(count, dtype=np.int64)
    position[occurring] = np.arange(len(occurring))
    return occurring, position[numbers]

"""Lines of `heartbeat` for many messages at once, column by column."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from pulse.batches import Ints, MessageColumns, Metrics, Origin
from pulse.messages import Channel, Evidence
from pulse.stores.influx import receipts
from pulse.stores.influx.lines import HEARTBEAT, LATE, NS_PER_US, STATUS, metric_key, string
from pulse.stores.influx.spans import Spans
from pulse.stores.influx.texts import Lines, Piece, choice, constant, decimal, put_together, strings, whole

_STATUS = Lines.of([f' status="{STATUS[said]}",receipt="' for said in product(Channel, Evidence)])

KEPT_BYTES = 4_000_000
"""Of the buffer that is used again: to have new memory from the system costs as much as to fill it."""


class _Known(NamedTuple):
    """What is said of each of some origins in all lines."""

    origins: Sequence[Origin]
    tags: Lines
    channel: Ints


class MessageLines:
    """Renders messages; remembers what repeats: the tags of the last origins and the names of metrics.

    Not for several threads.
    """

    def __init__(self, remembered: int = 10_000) -> None:
        self._remembered = remembered
        self._known = _known(())
        self._buffer = np.empty(0, dtype=np.uint8)
        self._keys: dict[str, bytes] = {}

    def render(self, messages: MessageColumns, ns: Ints) -> Lines:
        """The line of each message, at its nanoseconds; the next call may overwrite them."""
        count = len(messages)
        if not count:
            return Lines.of(())
        known = self._of(messages.origins)
        pieces = [
            constant(HEARTBEAT.encode()),
            choice(known.tags, messages.origin.astype(np.int64)),
            choice(_STATUS, known.channel[messages.origin] * len(Evidence) + messages.evidence),
            Piece(receipts.packed(messages), receipts.CHARACTERS),
            constant(b'"'),
            *_numbers(messages),
            *(piece for group in messages.metrics for piece in self._metrics(group, count)),
            *_others(messages, ns),
            *_end(ns),
        ]
        lines = put_together(pieces, count, self._buffer)
        if len(self._buffer) < len(lines.buffer) <= KEPT_BYTES:
            self._buffer = lines.buffer
        return lines

    def render_spans(self, origins: Sequence[Origin], spans: Spans, ns: Ints) -> Lines:
        """The line of each span, at its nanoseconds; `origins` are those of its messages."""
        if not len(spans):
            return Lines.of(())
        pieces = [
            constant(LATE.encode()),
            choice(self._of(origins).tags, spans.origin),
            *_whole_field(b" received_us", spans.received_us),
            *_whole_field(b",first_ns", spans.first_ns),
            *_whole_field(b",last_ns", spans.last_ns),
            *_whole_field(b",messages", spans.messages),
            *_end(ns),
        ]
        return put_together(pieces, len(spans))

    def _of(self, origins: Sequence[Origin]) -> _Known:
        """What is known of origins; batches of a small fleet come with the same ones again and again."""
        if self._known.origins is not origins:
            self._known = _known(origins)
        return self._known

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


def _known(origins: Sequence[Origin]) -> _Known:
    """The tags with their leading commas; ids have been checked, so nothing needs escaping."""
    if not origins:
        return _Known(origins, Lines.of(()), np.empty(0, dtype=np.int64))
    device, community, kind, channel = zip(*origins, strict=True)
    pieces = [
        constant(b",community="),
        choice(*_distinct(community)),
        constant(b",device="),
        choice(Lines.of(device), np.arange(len(device))),
        constant(b",kind="),
        choice(*_distinct(kind)),
        constant(b"\n"),
    ]
    return _Known(origins, put_together(pieces, len(device)), np.fromiter(channel, np.int64, len(channel)))


def _distinct(words: Sequence[str]) -> tuple[Lines, Ints]:
    """Each word that occurs, and which of them each is."""
    numbers = {word: number for number, word in enumerate(set(words))}
    return Lines.of(list(numbers)), np.fromiter(map(numbers.__getitem__, words), np.int64, len(words))

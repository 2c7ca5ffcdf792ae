"""Lines of `heartbeat` for many messages at once, column by column."""

from collections.abc import Iterator

import numpy as np

from pulse.batches import Ints, MessageColumns, Metrics, Origin
from pulse.messages import Evidence
from pulse.stores.influx import receipts
from pulse.stores.influx.lines import HEARTBEAT, NS_PER_US, STATUS, metric_key, string, tags
from pulse.stores.influx.texts import Lines, Piece, constant, decimal, put_together, strings, whole

_EVIDENCE = list(Evidence)


class MessageLines:
    """Renders messages; remembers what repeats: the heads of lines and the names of metrics.

    Not for several threads.
    """

    def __init__(self, remembered: int = 200_000) -> None:
        self._remembered = remembered
        self._heads: dict[tuple[Origin, int], bytes] = {}
        self._keys: dict[str, bytes] = {}

    def render(self, messages: MessageColumns, ns: Ints) -> Lines:
        """The line of each message, at its nanoseconds."""
        if not len(messages):
            return Lines.of(())
        heads, head = self._heads_of(messages)
        pieces = [
            Piece(receipts.packed(messages), receipts.CHARACTERS),
            constant(b'"'),
            *_numbers(messages),
            *(piece for group in messages.metrics for piece in self._metrics(group, len(messages))),
            *_others(messages, ns),
            constant(b" "),
            whole(ns),
            constant(b"\n"),
        ]
        return put_together(heads, head, pieces)

    def _heads_of(self, messages: MessageColumns) -> tuple[list[bytes], Ints]:
        """The beginnings of lines up to the receipt, and which of them each message has."""
        which = messages.origin.astype(np.int64) * len(_EVIDENCE) + messages.evidence
        occurring = np.zeros(len(messages.origins) * len(_EVIDENCE), dtype=bool)
        occurring[which] = True
        numbers = np.flatnonzero(occurring)
        position = np.empty(len(occurring), dtype=np.int64)
        position[numbers] = np.arange(len(numbers))
        heads = [
            self._head(messages.origins[number // len(_EVIDENCE)], number % len(_EVIDENCE))
            for number in numbers.tolist()
        ]
        return heads, position[which]

    def _head(self, origin: Origin, evidence: int) -> bytes:
        found = self._heads.get((origin, evidence))
        if found is None:
            if len(self._heads) >= self._remembered:
                self._heads.clear()
            status = STATUS[origin.channel, _EVIDENCE[evidence]]
            found = f'{HEARTBEAT}{tags(origin)} status="{status}",receipt="'.encode()
            self._heads[origin, evidence] = found
        return found

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
        yield from _whole_field(b"seq", messages.seq, None)
    elif messages.numbered.any():
        rows = np.flatnonzero(messages.numbered)
        yield from _whole_field(b"seq", messages.seq[rows], rows)


def _others(messages: MessageColumns, ns: Ints) -> Iterator[Piece]:
    """What few messages have: a measured time that is not their timestamp, a fault, the retain flag."""
    elsewhere = np.flatnonzero(messages.dated() & (messages.measured != ns // NS_PER_US))
    if len(elsewhere):
        yield from _whole_field(b"measured_us", messages.measured[elsewhere], elsewhere)
    if messages.faults:
        texts = [f",fault={string(fault)}".encode() for fault in messages.faults.values()]
        yield strings(texts, np.fromiter(messages.faults, dtype=np.int64))
    if messages.retained.any():
        yield constant(b",retained=t", np.flatnonzero(messages.retained))


def _whole_field(name: bytes, numbers: Ints, rows: Ints | None) -> Iterator[Piece]:
    yield constant(b",%s=" % name, rows)
    yield whole(numbers, rows)
    yield constant(b"i", rows)

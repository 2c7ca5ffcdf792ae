"""Where to find what came late: `late` has a point for each stretch of late messages of a device.

A message lies at its measured time, so one that came late is not near its reception. A point of `late` lies
at a reception and tells in which stretch of timestamps lie the messages that came then. Pure.
"""

from collections.abc import Container, Iterator
from typing import NamedTuple

import numpy as np

from pulse.batches import Flags, Ints, MessageColumns, by_number
from pulse.clock import HOUR_US, SECOND_US
from pulse.stores.influx.ground import SPILL_NS
from pulse.stores.influx.lines import NS_PER_US

RECEIVED_US = SECOND_US
"""The messages of one span are received within this."""

_FAR_NS = HOUR_US * NS_PER_US
"""What lies further apart than this gets spans of its own, so that little else is read with it."""


class Span(NamedTuple):
    """`messages` of one device, the first received at `received_us`, lying at `first_ns` to `last_ns`."""

    origin: int
    received_us: int
    first_ns: int
    last_ns: int
    messages: int


class Spans:
    """Spans in columns, those of a device one after the other; `device` are numbers of the devices."""

    def __init__(
        self, device: Ints, origin: Ints, received_us: Ints, first_ns: Ints, last_ns: Ints, messages: Ints
    ) -> None:
        self.device = device
        self.origin = origin
        self.received_us = received_us
        self.first_ns = first_ns
        self.last_ns = last_ns
        self.messages = messages

    def __len__(self) -> int:
        return len(self.device)

    def __getitem__(self, position: int) -> Span:
        columns = self.origin, self.received_us, self.first_ns, self.last_ns, self.messages
        return Span(*(int(column[position]) for column in columns))

    def __iter__(self) -> Iterator[Span]:
        return map(self.__getitem__, range(len(self)))


def spans_of(messages: MessageColumns, device: Ints, ns: Ints, late: Flags) -> Spans:
    """The spans of the late ones of a batch; `device` is a number of each message's device."""
    chosen = np.flatnonzero(late)
    if not len(chosen):
        return Spans(*np.empty((6, 0), dtype=np.int64))
    by_device = chosen[by_number(device[chosen])]
    own, at, received = device[by_device], ns[by_device], messages.observed[by_device]
    begins = np.ones(len(by_device), dtype=bool)
    second = received // RECEIVED_US
    begins[1:] = (own[1:] != own[:-1]) | (second[1:] != second[:-1]) | (np.abs(at[1:] - at[:-1]) > _FAR_NS)
    first = np.flatnonzero(begins)
    return Spans(
        own[first],
        messages.origin[by_device[first]].astype(np.int64),
        np.minimum.reduceat(received, first),
        np.minimum.reduceat(at, first),
        np.maximum.reduceat(at, first),
        np.diff(np.append(first, len(by_device))),
    )


def stands(spans: Spans, last_ns: Ints) -> tuple[Ints, Flags]:
    """Where the spans' points stand (`stand`) by the last one of each one's device.

    False for those of which that does not tell: beside others of their device, or too far from reception.
    """
    base = spans.received_us * NS_PER_US
    ns = np.maximum(base, last_ns + 1)
    told = ns - base < SPILL_NS
    beside = spans.device[1:] == spans.device[:-1]
    told[1:] &= ~beside
    told[:-1] &= ~beside
    return ns, told


def stand(span: Span, last_ns: int) -> int | None:
    """Where the span's point stands: at its reception, or right behind the last one of its device.

    None if that would be too far from its reception: then it stands on the first nanosecond that is free.
    """
    base = span.received_us * NS_PER_US
    ns = max(base, last_ns + 1)
    return ns if ns - base < SPILL_NS else None


def first_free(span: Span, taken: Container[int]) -> int:
    """The first nanosecond from the span's reception on that is not taken."""
    ns = span.received_us * NS_PER_US
    while ns in taken:
        ns += 1
    return ns

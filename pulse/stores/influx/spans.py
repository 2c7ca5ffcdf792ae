"""Where to find what came late: `late` has a point for each stretch of late messages of a device.

A message lies at its measured time, so one that came late is not near its reception. A point of `late` lies
at a reception and tells in which stretch of timestamps lie the messages that came then. Pure.
"""

from collections.abc import Container
from typing import NamedTuple

import numpy as np

from pulse.batches import Flags, Ints, MessageColumns
from pulse.clock import HOUR_US, SECOND_US
from pulse.stores.influx.ground import SPILL_NS
from pulse.stores.influx.lines import LATE, NS_PER_US, tags

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


def spans_of(messages: MessageColumns, device: Ints, ns: Ints, late: Flags) -> list[Span]:
    """The spans of the late ones of a batch, by device; `device` is a number of each message's device."""
    chosen = np.flatnonzero(late)
    if not len(chosen):
        return []
    by_device = chosen[np.argsort(device[chosen], kind="stable")]
    own, at, received = device[by_device], ns[by_device], messages.observed[by_device]
    begins = np.ones(len(by_device), dtype=bool)
    begins[1:] = (
        (own[1:] != own[:-1])
        | (received[1:] // RECEIVED_US != received[:-1] // RECEIVED_US)
        | (np.abs(at[1:] - at[:-1]) > _FAR_NS)
    )
    first = np.flatnonzero(begins)
    return [
        Span(*numbers)
        for numbers in zip(
            messages.origin[by_device[first]].tolist(),
            np.minimum.reduceat(received, first).tolist(),
            np.minimum.reduceat(at, first).tolist(),
            np.maximum.reduceat(at, first).tolist(),
            np.diff(np.append(first, len(by_device))).tolist(),
            strict=True,
        )
    ]


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


def span_line(messages: MessageColumns, span: Span, ns: int) -> str:
    """The line of a span at `ns`."""
    return (
        f"{LATE}{tags(messages.origins[span.origin])} received_us={span.received_us}i"
        f",first_ns={span.first_ns}i,last_ns={span.last_ns}i,messages={span.messages}i {ns}"
    )

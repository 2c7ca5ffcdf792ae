"""What a device said, decoded and checked: the one form in which messages travel from dialect to store."""

from enum import IntEnum
from typing import NamedTuple

import msgspec


class Evidence(IntEnum):
    """What a message says of its device. The numbers are stored; never reorder them."""

    BEAT = 0
    FAULT = 1
    """A beat that reports a fault: alive, but not running normally."""
    OFFLINE = 2
    """A last will, death certificate or goodbye."""


class Channel(IntEnum):
    """Which topic it came on. Stored; never reorder."""

    HEARTBEAT = 0
    STATUS = 1


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted message.

    `observed_us` is its reception by the collector, `measured_us` the device's own clock (None if it
    gave none), `order` the order of reception in the whole installation (greater is later; assigned
    when the message is spooled, 0 before). `identity` is 63 bits of a digest over topic and payload;
    for a message with neither time nor sequence number it covers `observed_us` too, because nothing
    then tells a redelivery from a second message. `metrics` are finite floats by name.
    """

    device: str
    community: str
    kind: str
    evidence: Evidence
    channel: Channel
    observed_us: int
    measured_us: int | None
    retained: bool
    queued: bool
    identity: int
    seq: int | None = None
    fault: str | None = None
    metrics: dict[str, float] | None = None
    order: int = 0


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted record of a kind of data (`community/{community}/{kind}/{device}/data/{data_kind}`).

    `observed_us`, `measured_us`, `queued`, `identity` and `order` are as those of a `Message`; records and
    messages share one order of reception. `at_us` is the time that it is evidence of: the measured time where
    the device's clock is trusted and it lies at most `backlog_lateness_s` before reception, else the
    reception of a record delivered live; None where neither is known (it came out of a backlog without a
    believable time), so that it says nothing of freshness. `body` is the JSON object (UTF-8) as it came.
    """

    device: str
    community: str
    kind: str
    data_kind: str
    observed_us: int
    measured_us: int | None
    at_us: int | None
    queued: bool
    identity: int
    body: bytes
    order: int = 0


class Quarantined(NamedTuple):
    """Something that could not be accepted, kept for people to look at.

    `payload` holds at most the first `MAX_QUARANTINED_BYTES`; `size` is the whole length in bytes.
    """

    observed_us: int
    reason: str
    detail: str
    topic: str
    payload: bytes
    size: int


MAX_QUARANTINED_BYTES = 1024

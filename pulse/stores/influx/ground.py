"""One device's messages one by one: what may be stored already, and which nanosecond is free.

`placing` follows these rules for whole batches; they are asked themselves for every device of which a message
of the batch is doubtful. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pulse.clock import MINUTE_US
from pulse.messages import Message
from pulse.stores.acceptable import TIME_MAX_US, TIME_MIN_US
from pulse.stores.influx.lines import NS_PER_US
from pulse.stores.sameness import BACKLOG_US, window_us

LATE_US = MINUTE_US
"""A message further behind its own time than this is late."""

SPILL_US = 100
SPILL_NS = SPILL_US * NS_PER_US
"""How far a message may be moved on to find a free nanosecond: a clock may stand still for 100,000 beats."""

NOTHING = -(1 << 63)
"""Not after any time or number."""


class Mark:
    """The greatest of everything that was stored, or may have been, of one device."""

    __slots__ = ("ahead_us", "measured_us", "seq", "stored_us", "tried_us")

    def __init__(
        self,
        tried_us: int = NOTHING,
        stored_us: int = NOTHING,
        measured_us: int = NOTHING,
        seq: int = NOTHING,
        ahead_us: int = 0,
    ) -> None:
        self.tried_us = tried_us
        """Timestamp of what was sent, whether or not an answer came back."""
        self.stored_us = stored_us
        """Timestamp of what is stored for certain."""
        self.measured_us = measured_us
        self.seq = seq
        self.ahead_us = ahead_us
        """How far a measured time was ahead of its reception."""

    def copy(self) -> "Mark":
        """Another one that says the same."""
        return Mark(self.tried_us, self.stored_us, self.measured_us, self.seq, self.ahead_us)

    def may_have_come(self, message: Message) -> bool:
        """Whether the same message may have been sent before."""
        if message.measured_us is not None:
            return message.measured_us <= self.measured_us
        return message.seq is not None and message.seq <= self.seq

    def is_doubtful(self, message: Message, at_us: int) -> bool:
        """Whether the message, or another in its place, may be stored already."""
        return at_us <= self.tried_us + SPILL_US or self.may_have_come(message)

    def take(self, message: Message, at_us: int) -> None:
        """Note a message that is about to be sent."""
        self.tried_us = max(self.tried_us, at_us)
        if message.measured_us is not None:
            self.measured_us = max(self.measured_us, message.measured_us)
            self.ahead_us = max(self.ahead_us, message.measured_us - message.observed_us)
        elif message.seq is not None:
            self.seq = max(self.seq, message.seq)


class Probe(NamedTuple):
    """Where the same message, or another in its place, may lie: `[from_ns, to_ns]` of one device."""

    device: str
    from_ns: int
    to_ns: int


class Stored(NamedTuple):
    """What is known of a point: enough to recognise its message."""

    device: str
    ns: int
    identity: int
    measured_us: int | None
    observed_us: int
    order: int
    retained: bool


class Place(NamedTuple):
    """Where a message goes, and whether it came late (`placing`).

    `known`: it lies there already, and is written once more.
    """

    ns: int
    late: bool
    known: bool = False


class Ground:
    """What lies where of one device, as far as it matters for a batch."""

    def __init__(self) -> None:
        self._beats: set[int] = set()
        self._by_identity: dict[tuple[int, int | None], list[Stored]] = {}
        self._first_free: dict[int, int] = {}

    def put(self, stored: Stored) -> None:
        """Note a point."""
        if stored.ns not in self._beats:
            self._beats.add(stored.ns)
            self._by_identity.setdefault((stored.identity, stored.measured_us), []).append(stored)

    def holds(self, message: Message) -> bool:
        """Whether the same message is here."""
        return self._same(message) is not None

    def place(self, message: Message, at_us: int, late: bool) -> Place | str | None:
        """The message's place, None for a redelivery, or the reason why there is no place.

        What gets a place is noted. A message whose very reception is stored already, because its batch is
        applied once more, keeps its place.
        """
        known = self._same(message)
        if known is not None and not _same_reception(known, message):
            return None
        if known is not None:
            ns: int | None = known.ns
            # Whether it was out of order when it first came is not known any more; being late is.
            late = late and message.observed_us - at_us > LATE_US
        else:
            ns = self._free(at_us, message.identity % NS_PER_US)
        if ns is None:
            return f"more than {SPILL_NS} messages of the device at one time"
        self.put(_stored(message, ns))
        return Place(ns, late, known is not None)

    def _same(self, message: Message) -> Stored | None:
        window = window_us(message)
        for known in self._by_identity.get((message.identity, message.measured_us), ()):
            if known.retained <= message.retained and (
                message.measured_us is not None or abs(known.observed_us - message.observed_us) <= window
            ):
                return known
        return None

    def _free(self, at_us: int, wanted: int) -> int | None:
        base = at_us * NS_PER_US
        if base + wanted not in self._beats:
            return base + wanted
        for ns in range(self._first_free.get(at_us, base), base + SPILL_NS):
            if ns not in self._beats:
                self._first_free[at_us] = ns + 1
                return ns
        return None


def grounds_of(devices: Iterable[str], stored: Iterable[Stored]) -> dict[str, Ground]:
    """The ground of each device with what is stored on it."""
    grounds = {device: Ground() for device in devices}
    for one in stored:
        if one.device in grounds:
            grounds[one.device].put(one)
    return grounds


def probes(message: Message, at_us: int, mark: Mark) -> Iterator[Probe]:
    """Where to look for a doubtful message."""
    if mark.may_have_come(message):
        yield from same_probes(message, at_us, mark.ahead_us)
    else:
        yield Probe(message.device, at_us * NS_PER_US, at_us * NS_PER_US + SPILL_NS)


def same_probes(message: Message, at_us: int, ahead_us: int) -> Iterator[Probe]:
    """Where the same message may lie, the place at `at_us` included.

    `ahead_us` is how far the device's measured times may have been ahead of their reception.
    """
    device, measured, observed = message.device, message.measured_us, message.observed_us
    first = last = at_us
    if measured is None:
        first, last = observed - window_us(message), observed + window_us(message)
    elif at_us == measured:
        # When it came first its time may still have been ahead, and it lies at that reception.
        first = measured - min(ahead_us, BACKLOG_US)
    else:
        first, last = observed - BACKLOG_US, observed + BACKLOG_US
        if TIME_MIN_US <= measured < first:
            # When it came first its time may still have been recent enough.
            yield Probe(device, measured * NS_PER_US, measured * NS_PER_US + SPILL_NS)
    first, last = max(first, TIME_MIN_US), min(last, TIME_MAX_US)
    yield Probe(device, first * NS_PER_US, last * NS_PER_US + SPILL_NS)


def _same_reception(stored: Stored, message: Message) -> bool:
    return (stored.observed_us, stored.retained, stored.order) == (
        message.observed_us,
        message.retained,
        message.order,
    )


def _stored(message: Message, ns: int) -> Stored:
    return Stored(
        message.device,
        ns,
        message.identity,
        message.measured_us,
        message.observed_us,
        message.order,
        message.retained,
    )

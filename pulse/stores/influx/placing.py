"""Which timestamp a message gets, and whether it is a redelivery. Pure: what is stored is passed in.

InfluxDB keeps one point for a measurement, set of tags and timestamp, and a second write replaces the first.
So every message of a device needs a nanosecond of its own: its time in microseconds and the identity modulo
1000, moved on to the next free one where another message lies already. And a redelivered message has to
be recognised before it is written, since the first observation stays.

Looking every message up would cost more than writing it. For each device the greatest timestamp, measured
time and sequence number are remembered; a message beyond all of them lies on free ground and has not come
before. Only the others are doubtful, and `examine` says where to look for them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from pulse.clock import MINUTE_US
from pulse.messages import Message
from pulse.stores.acceptable import TIME_MAX_US, TIME_MIN_US
from pulse.stores.influx.lines import HEARTBEAT, LATE, NS_PER_US
from pulse.stores.sameness import BACKLOG_US, window_us

LATE_US = MINUTE_US
"""A message further behind its own time than this gets a copy at the time of its reception."""

SPILL_US = 100
SPILL_NS = SPILL_US * NS_PER_US
"""How far a message may be moved on to find a free nanosecond: a clock may stand still for 100,000 beats."""

_NOTHING = -(1 << 63)


class Mark:
    """The greatest of everything that was stored, or may have been, of one device."""

    __slots__ = ("ahead_us", "late_ns", "measured_us", "seq", "stored_us", "tried_us")

    def __init__(self) -> None:
        self.tried_us = _NOTHING
        """Timestamp of what was sent, whether or not an answer came back."""
        self.stored_us = _NOTHING
        """Timestamp of what is stored for certain."""
        self.measured_us = _NOTHING
        self.ahead_us = 0
        """How far a measured time was ahead of its reception."""
        self.seq = _NOTHING
        self.late_ns = _NOTHING

    def copy(self) -> "Mark":
        """Another one that says the same."""
        copy = Mark()
        for name in self.__slots__:
            setattr(copy, name, getattr(self, name))
        return copy

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

    measurement: str
    device: str
    from_ns: int
    to_ns: int


class Stored(NamedTuple):
    """What is known of a point: enough to recognise its message."""

    measurement: str
    device: str
    ns: int
    identity: int
    measured_us: int | None
    observed_us: int
    order: int
    retained: bool


class Examined(NamedTuple):
    """What `examine` found, by position: timestamps in microseconds and who gets a copy in `late`.

    `tracked` are the devices of which some message needs a closer look, `probes` where to look.
    """

    at_us: list[int]
    late: list[bool]
    tracked: frozenset[str]
    probes: list[Probe]


class Place(NamedTuple):
    """Where a message goes: its timestamp, and that of its copy in `late` if it gets one.

    `known`: it lies there already, and is written once more.
    """

    ns: int
    late_ns: int | None
    known: bool = False


class Placer:
    """Places batches. `marks` must hold every device that has anything stored; not for several threads."""

    def __init__(
        self, marks: dict[str, Mark], clock_trusted: Callable[[str], bool], datable_us: int = BACKLOG_US
    ) -> None:
        self._marks = marks
        self._clock_trusted = clock_trusted
        self._datable_us = datable_us

    def at_us(self, message: Message) -> int:
        """The measured time if the clock is trusted and it lies at most `datable_us` before reception, else
        the reception; microseconds."""
        measured, observed = message.measured_us, message.observed_us
        if (
            measured is not None
            and observed - self._datable_us <= measured <= observed
            and self._clock_trusted(message.device)
        ):
            return measured
        return observed

    def may_be_stored(self, message: Message) -> bool:
        """False for a message that is certainly not stored yet."""
        mark = self._marks.get(message.device)
        return mark is not None and _doubtful(message, self.at_us(message), mark)

    def ahead_us(self, device: str) -> int:
        """How far measured times of the device have been ahead of their reception, as far as is known."""
        mark = self._marks.get(device)
        return 0 if mark is None else mark.ahead_us

    def examine(self, messages: Sequence[Message]) -> Examined:
        """Find the doubtful messages of a batch, and note all as tried."""
        before: dict[str, Mark] = {}
        ordered: dict[str, int] = {}
        times, late, tracked = [], [], set()
        probes: list[Probe] = []
        for message in messages:
            at = self.at_us(message)
            mark = self._marks.get(message.device)
            if mark is None:
                mark = self._marks[message.device] = Mark()
            old = before.get(message.device)
            if old is None:
                old = before[message.device] = mark.copy()
                ordered[message.device] = mark.stored_us
            if _doubtful(message, at, mark):
                tracked.add(message.device)
                if _doubtful(message, at, old):
                    probes.extend(_probes(message, at, old))
            is_late = message.observed_us - at > LATE_US or at <= ordered[message.device]
            if is_late:
                base = message.observed_us * NS_PER_US
                if base <= mark.late_ns:
                    tracked.add(message.device)
                    if base <= old.late_ns:
                        probes.append(Probe(LATE, message.device, base, base + SPILL_NS))
                mark.late_ns = max(mark.late_ns, base + SPILL_NS)
            times.append(at)
            late.append(is_late)
            mark.take(message, at)
            ordered[message.device] = max(ordered[message.device], at)
        return Examined(times, late, frozenset(tracked), probes)

    def place(
        self, messages: Sequence[Message], examined: Examined, stored: Iterable[Stored]
    ) -> list[Place | str | None]:
        """For each message its place, None for a redelivery, or the reason why there is no place.

        `stored` is what lies where `examined.probes` point, and may be more. A message whose very
        reception is stored already, because its batch is applied once more, keeps its place.
        """
        grounds = grounds_of(examined.tracked, stored)
        places: list[Place | str | None] = []
        for message, at, late in zip(messages, examined.at_us, examined.late, strict=True):
            ground = grounds.get(message.device)
            if ground is None:
                base = at * NS_PER_US + message.identity % NS_PER_US
                places.append(Place(base, message.observed_us * NS_PER_US if late else None))
            else:
                places.append(ground.place(message, at, late))
        return places

    def confirm(self, messages: Sequence[Message], examined: Examined) -> None:
        """The batch is stored."""
        for message, at in zip(messages, examined.at_us, strict=True):
            mark = self._marks[message.device]
            mark.stored_us = max(mark.stored_us, at)


class Ground:
    """What lies where of one device, as far as it matters for a batch."""

    def __init__(self) -> None:
        self._beats: set[int] = set()
        self._by_identity: dict[tuple[int, int | None], list[Stored]] = {}
        self._first_free: dict[int, int] = {}
        self._copies: dict[tuple[int, int, int, bool], int] = {}
        self._last_copy: dict[int, int] = {}

    def put(self, stored: Stored) -> None:
        """Note a point."""
        if stored.measurement == LATE:
            self._copies[stored.identity, stored.observed_us, stored.order, stored.retained] = stored.ns
            last = self._last_copy.get(stored.observed_us, stored.ns)
            self._last_copy[stored.observed_us] = max(last, stored.ns)
        elif stored.ns not in self._beats:
            self._beats.add(stored.ns)
            self._by_identity.setdefault((stored.identity, stored.measured_us), []).append(stored)

    def holds(self, message: Message) -> bool:
        """Whether the same message is here."""
        return self._same(message) is not None

    def place(self, message: Message, at_us: int, late: bool) -> Place | str | None:
        """See `Placer.place`; what gets a place is noted."""
        known = self._same(message)
        if known is not None and not _same_reception(known, message):
            return None
        if known is not None:
            ns: int | None = known.ns
            # Whether it was out of order when it first came is not known any more; being late is.
            late = late and message.observed_us - at_us > LATE_US
        else:
            ns = self._free(at_us, message.identity % NS_PER_US)
        late_ns = self._free_for_copy(message) if late else None
        if ns is None or (late and late_ns is None):
            return f"more than {SPILL_NS} messages of the device at one time"
        self.put(_stored(HEARTBEAT, message, ns))
        if late_ns is not None:
            self.put(_stored(LATE, message, late_ns))
        return Place(ns, late_ns, known is not None)

    def _same(self, message: Message) -> Stored | None:
        window = window_us(message)
        for known in self._by_identity.get((message.identity, message.measured_us), ()):
            if known.retained <= message.retained and (
                message.measured_us is not None or abs(known.observed_us - message.observed_us) <= window
            ):
                return known
        if message.measured_us is not None:
            for known in self._by_identity.get((message.identity, None), ()):
                if known.observed_us == message.observed_us and _half_seen(known, message):
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

    def _free_for_copy(self, message: Message) -> int | None:
        """Copies received in one microsecond lie in the order in which they came."""
        known = self._copies.get((message.identity, message.observed_us, message.order, message.retained))
        if known is not None:
            return known
        base = message.observed_us * NS_PER_US
        ns = self._last_copy.get(message.observed_us, base - 1) + 1
        return ns if ns < base + SPILL_NS else None


def grounds_of(devices: Iterable[str], stored: Iterable[Stored]) -> dict[str, Ground]:
    """The ground of each device with what is stored on it."""
    grounds = {device: Ground() for device in devices}
    for one in stored:
        if one.device in grounds:
            grounds[one.device].put(one)
    return grounds


def _doubtful(message: Message, at_us: int, mark: Mark) -> bool:
    return at_us <= mark.tried_us + SPILL_US or _may_have_come(message, mark)


def _may_have_come(message: Message, mark: Mark) -> bool:
    if message.measured_us is not None:
        return message.measured_us <= mark.measured_us
    return message.seq is not None and message.seq <= mark.seq


def _probes(message: Message, at_us: int, mark: Mark) -> Iterator[Probe]:
    if _may_have_come(message, mark):
        yield from same_probes(message, at_us, mark.ahead_us)
    else:
        yield Probe(HEARTBEAT, message.device, at_us * NS_PER_US, at_us * NS_PER_US + SPILL_NS)


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
            yield Probe(HEARTBEAT, device, measured * NS_PER_US, measured * NS_PER_US + SPILL_NS)
    first, last = max(first, TIME_MIN_US), min(last, TIME_MAX_US)
    yield Probe(HEARTBEAT, device, first * NS_PER_US, last * NS_PER_US + SPILL_NS)


def _same_reception(stored: Stored, message: Message) -> bool:
    return (stored.observed_us, stored.retained) == (message.observed_us, message.retained) and (
        stored.order == message.order or _half_seen(stored, message)
    )


def _half_seen(stored: Stored, message: Message) -> bool:
    """Whether the point may be the message's own, still being written by a request that got no answer.

    InfluxDB shows the fields of a point one by one, and before they are safe; so it is written again.
    """
    return not stored.order and message.order != 0


def _stored(measurement: str, message: Message, ns: int) -> Stored:
    return Stored(
        measurement,
        message.device,
        ns,
        message.identity,
        message.measured_us,
        message.observed_us,
        message.order,
        message.retained,
    )

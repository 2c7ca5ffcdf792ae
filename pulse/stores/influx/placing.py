"""Which timestamp a message gets, and whether it is a redelivery. Pure: what is stored is passed in.

InfluxDB keeps one point for a measurement, set of tags and timestamp, and a second write replaces the first.
So every message of a device needs a nanosecond of its own: its time in microseconds and the identity modulo
1000, moved on to the next free one where another message lies already. And a redelivered message has to
be recognised before it is written, since the first observation stays.

Looking every message up would cost more than writing it. For each device the greatest timestamp, measured
time and sequence number are remembered; a message beyond all of them lies on free ground and has not come
before. A device whose messages of a batch all do is placed by columns; the others' messages are looked at
one by one, in order (`ground`), and `examine` says where to look for them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from pulse.batches import Flags, Ints, MessageColumns, by_number
from pulse.messages import Message
from pulse.stores.influx.ground import LATE_US, SPILL_US, Place, Probe, Stored, grounds_of, probes
from pulse.stores.influx.lines import NS_PER_US
from pulse.stores.influx.memory import Memory
from pulse.stores.sameness import BACKLOG_US


class Examined(NamedTuple):
    """What `examine` found of each message: its device's number, its timestamp (µs), whether it is late.

    `closer` are the positions of those that need a closer look, `probes` where to look for what is stored.
    """

    device: Ints
    at_us: Ints
    late: Flags
    closer: Ints
    probes: list[Probe]


class Placed(NamedTuple):
    """For each message its timestamp in nanoseconds, whether it is to be written, was `known`, and is `late`.

    What is not to be written is a redelivery, or `refused` for a reason, by position.
    """

    ns: Ints
    written: Flags
    known: Flags
    late: Flags
    refused: dict[int, str]


class Placer:
    """Places batches. `memory` must know every device that has anything stored; not for several threads."""

    def __init__(
        self, memory: Memory, clock_trusted: Callable[[str], bool], datable_us: int = BACKLOG_US
    ) -> None:
        self.memory = memory
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
        mark = self.memory.mark_of(message.device)
        return mark is not None and mark.is_doubtful(message, self.at_us(message))

    def ahead_us(self, device: str) -> int:
        """How far measured times of the device have been ahead of their reception, as far as is known."""
        mark = self.memory.mark_of(device)
        return 0 if mark is None else mark.ahead_us

    def examine(self, messages: MessageColumns) -> Examined:
        """Find the doubtful messages of a batch, and note all as tried."""
        device = self.memory.numbers([origin.device for origin in messages.origins])[messages.origin]
        at_us = self._times(messages)
        by_device = by_number(device)
        first = np.flatnonzero(np.diff(device[by_device], prepend=-1))
        doubtful = self._doubtful(messages, device, at_us, by_device, first)
        late: Flags = messages.observed - at_us > LATE_US
        count = np.diff(np.append(first, len(device)))
        clean = ~doubtful
        self._note(messages, device, at_us, by_device, first[clean], (first + count - 1)[clean])
        wanted: list[Probe] = []
        closer = [
            by_device[start : start + size]
            for start, size in zip(first[doubtful].tolist(), count[doubtful].tolist(), strict=True)
        ]
        for own in closer:
            wanted.extend(self._examine_closer(messages, int(device[own[0]]), own, at_us, late))
        positions = np.sort(np.concatenate(closer)) if closer else np.empty(0, dtype=np.int64)
        return Examined(device, at_us, late, positions, wanted)

    def _times(self, messages: MessageColumns) -> Ints:
        """`at_us` of each message."""
        near = messages.observed - self._datable_us <= messages.measured
        near &= messages.dated() & (messages.measured <= messages.observed)
        trusted = np.array([self._clock_trusted(o.device) for o in messages.origins], dtype=bool)
        return np.where(near & trusted[messages.origin], messages.measured, messages.observed)

    def _doubtful(
        self, messages: MessageColumns, device: Ints, at_us: Ints, by_device: Ints, first: Ints
    ) -> Flags:
        """Of each device, whether it has a doubtful message, or needs a closer look to tell.

        Each message is compared with the one of its device before it, and the first with what is remembered:
        if every one is beyond that, it is beyond everything before.
        """
        memory, own = self.memory, device[by_device[first]]

        def before(column: Ints, remembered: Ints) -> tuple[Ints, Ints]:
            ordered = column[by_device]
            earlier = np.empty_like(ordered)
            earlier[1:] = ordered[:-1]
            earlier[first] = remembered[own]
            return ordered, earlier

        at, tried = before(at_us, memory.tried)
        doubtful = at <= tried + SPILL_US
        dated, numbered = messages.dated()[by_device], messages.numbered[by_device]
        if dated.any():
            measured, known = before(messages.measured, memory.measured)
            doubtful |= dated & (measured <= known)
        if not dated.all():
            seq, last = before(messages.seq, memory.seq)
            doubtful |= ~dated & numbered & (seq <= last)
            # Of different kinds, neighbours cannot be compared.
            for kind in (dated, numbered | dated):
                mixed = kind[1:] != kind[:-1]
                doubtful[1:] |= mixed & (device[by_device[1:]] == device[by_device[:-1]])
        found: Flags = np.logical_or.reduceat(doubtful, first)
        return found

    def _note(
        self, messages: MessageColumns, device: Ints, at_us: Ints, by_device: Ints, first: Ints, last: Ints
    ) -> None:
        """Note the messages of devices without a doubtful one as tried; the last is beyond the others."""
        memory, newest = self.memory, by_device[last]
        own = device[newest]
        memory.tried[own] = at_us[newest]
        dated = messages.dated()[newest]
        memory.measured[own[dated]] = messages.measured[newest[dated]]
        numbered = ~dated & messages.numbered[newest]
        memory.seq[own[numbered]] = messages.seq[newest[numbered]]
        ahead = messages.dated() & (messages.measured > messages.observed)
        if ahead.any():
            far = np.where(ahead, messages.measured - messages.observed, 0)
            np.maximum.at(memory.ahead, device, far)

    def _examine_closer(
        self, messages: MessageColumns, number: int, own: Ints, at_us: Ints, late: Flags
    ) -> Iterator[Probe]:
        """Go through the messages of one device in order, and say where to look for the doubtful ones."""
        mark, old = self.memory.mark(number), self.memory.mark(number)
        latest_us = old.stored_us
        for position in own.tolist():
            message, at = messages[position], int(at_us[position])
            if old.is_doubtful(message, at):
                yield from probes(message, at, old)
            late[position] |= at <= latest_us
            latest_us = max(latest_us, at)
            mark.take(message, at)
        self.memory.put(number, mark)

    def place(self, messages: MessageColumns, examined: Examined, stored: Iterable[Stored]) -> Placed:
        """Place every message; `stored` is what lies where `examined.probes` point, and may be more."""
        ns = examined.at_us * NS_PER_US + messages.identity % NS_PER_US
        written, known = np.ones(len(messages), dtype=bool), np.zeros(len(messages), dtype=bool)
        late, refused = examined.late.copy(), dict[int, str]()
        closer = [(position, messages[position]) for position in examined.closer.tolist()]
        grounds = grounds_of({message.device for _, message in closer}, stored)
        for position, message in closer:
            found = grounds[message.device].place(
                message, int(examined.at_us[position]), bool(late[position])
            )
            if isinstance(found, Place):
                ns[position], late[position], known[position] = found
            else:
                written[position] = False
                if found is not None:
                    refused[position] = found
        return Placed(ns, written, known, late & written, refused)

    def confirm(self, examined: Examined) -> None:
        """The batch is stored."""
        np.maximum.at(self.memory.stored, examined.device, examined.at_us)

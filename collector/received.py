"""Messages as the broker delivered them: places in the bytes that brought them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulse.batches import Flags, Ints

DUP, QOS, RETAIN = 0x08, 0x06, 0x01
"""Where the first byte of a PUBLISH packet has them."""

BEFORE, BEHIND = 8, 256
"""Bytes around those that were delivered: they are read in words and pieces of as many."""


def pieces(data: "bytes | NDArray[np.uint8]", begin: Ints, size: int) -> NDArray[np.bytes_]:
    """The `size` bytes at each place, as numpy's strings, which do not tell zeros at the end apart."""
    everywhere = np.ndarray((len(data) - size + 1,), f"S{size}", data, strides=(1,))
    found: NDArray[np.bytes_] = everywhere[begin]
    return found


class Received(NamedTuple):
    """A message as the broker delivered it; `topic` may be no UTF-8."""

    topic: bytes
    payload: bytes
    qos: int
    mid: int
    retained: bool
    redelivered: bool
    observed_us: int


class Places(NamedTuple):
    """Where messages lie in bytes, one element each: a topic from `topic` to `topic_end`, a payload from
    `payload` to `end`. `flags` are the first bytes of the packets, `mids` their numbers in the connection
    (0 for QoS 0).
    """

    topic: Ints
    topic_end: Ints
    payload: Ints
    end: Ints
    flags: Ints
    mids: Ints

    def take(self, chosen: "slice | Flags") -> "Places":
        """Some of the messages."""
        return Places(*(column[chosen] for column in self))

    def moved(self, by: int) -> "Places":
        """The same messages in bytes that have so many more in front of them."""
        topic, topic_end, payload, end = (column + by for column in self[:4])
        return Places(topic, topic_end, payload, end, self.flags, self.mids)


class Publishes:
    """Messages in the order of delivery, the first received at `observed_us`, each next one 1 µs later."""

    def __init__(self, data: bytes, places: Places, observed_us: int) -> None:
        self.data = data
        self.places = places
        self.observed_us = observed_us

    def __len__(self) -> int:
        return len(self.places.topic)

    def topic(self, at: int) -> bytes:
        """The topic of one."""
        return self.data[self.places.topic[at] : self.places.topic_end[at]]

    def topics(self) -> list[bytes]:
        """The topic of each."""
        data = self.data
        return [
            data[begin:end]
            for begin, end in zip(self.places.topic.tolist(), self.places.topic_end.tolist(), strict=True)
        ]

    def of_topics(self, topics: Iterable[bytes]) -> list[int]:
        """The positions of messages with one of a few topics."""
        buffer, found = np.frombuffer(self.data, dtype=np.uint8), list[int]()
        begin, length = self.places.topic, self.places.topic_end - self.places.topic
        for topic in topics:
            likely = np.flatnonzero((length == len(topic)) & (buffer[begin] == topic[0]))
            found += [at for at in likely.tolist() if self.data.startswith(topic, begin[at])]
        return sorted(found)

    def payloads(self, positions: Ints) -> list[bytes]:
        """The payloads of some."""
        data = self.data
        begins, ends = self.places.payload[positions].tolist(), self.places.end[positions].tolist()
        return [data[begin:end] for begin, end in zip(begins, ends, strict=True)]

    def one(self, at: int) -> Received:
        """A single message."""
        topic, topic_end, payload, end, flags, mid = (int(column[at]) for column in self.places)
        return Received(
            self.data[topic:topic_end],
            self.data[payload:end],
            (flags & QOS) >> 1,
            mid,
            bool(flags & RETAIN),
            bool(flags & DUP),
            self.observed_us + at,
        )

    def part(self, start: int, end: int) -> "Publishes":
        """The messages from `start` up to `end`."""
        if start == 0 and end >= len(self):
            return self
        return Publishes(self.data, self.places.take(slice(start, end)), self.observed_us + start)

    def acknowledgeable(self) -> Ints:
        """The numbers of those that wait for an acknowledgement."""
        mids: Ints = self.places.mids[self.places.flags & QOS != 0]
        return mids

    def redelivered(self, positions: Ints) -> list[bool]:
        """Which of some the broker says to deliver again."""
        redelivered: list[bool] = (self.places.flags[positions] & DUP != 0).tolist()
        return redelivered


class Gathering:
    """Takes in messages, one by one or many at once, and gives them away together."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._count = 0
        self._data = [bytes(BEFORE)]
        self._size = BEFORE
        self._places: list[Places] = []
        self._single: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        return self._count

    def add(self, topic: bytes, payload: bytes, flags: int, mid: int) -> None:
        """Append one message."""
        begin, end = self._size, self._size + len(topic)
        self._single.append((begin, end, end, end + len(payload), flags, mid))
        self._append(topic + payload, 1)

    def add_all(self, data: bytes, places: Places) -> None:
        """Append the messages at places in `data`."""
        self._settle()
        self._places.append(places.moved(self._size))
        self._append(data, len(places.topic))

    def taken(self, observed_us: int) -> Publishes:
        """All that was gathered, the first received at `observed_us`; the next gathering begins empty."""
        self._settle()
        if len(self._places) == 1:
            places = self._places[0]
        elif self._places:
            places = Places(*map(np.concatenate, zip(*self._places, strict=True)))
        else:
            places = Places(*np.empty((len(Places._fields), 0), dtype=np.int64))
        publishes = Publishes(b"".join((*self._data, bytes(BEHIND))), places, observed_us)
        self._begin()
        return publishes

    def _append(self, data: bytes, count: int) -> None:
        self._data.append(data)
        self._size += len(data)
        self._count += count

    def _settle(self) -> None:
        """Put what came one by one into columns."""
        if self._single:
            self._places.append(Places(*np.array(self._single, dtype=np.int64).T))
            self._single = []

"""Messages as the broker delivered them, in columns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

DUP, QOS, RETAIN = 0x08, 0x06, 0x01
"""Where the first byte of a PUBLISH packet has them."""


class Received(NamedTuple):
    """A message as the broker delivered it; `topic` may be no UTF-8."""

    topic: bytes
    payload: bytes
    qos: int
    mid: int
    retained: bool
    redelivered: bool
    observed_us: int


class Publishes:
    """Messages in the order of delivery. The first was received at `observed_us`, each next one 1 µs later.

    `flags` are the first bytes of the packets, `mids` their numbers in the connection (0 for QoS 0).
    """

    def __init__(self) -> None:
        self.topics: list[bytes] = []
        self.payloads: list[bytes] = []
        self.flags: list[int] = []
        self.mids: list[int] = []
        self.observed_us = 0

    def __len__(self) -> int:
        return len(self.topics)

    def add(self, topic: bytes, payload: bytes, flags: int, mid: int) -> None:
        """Append one message."""
        self.topics.append(topic)
        self.payloads.append(payload)
        self.flags.append(flags)
        self.mids.append(mid)

    def appending(
        self,
    ) -> tuple[
        Callable[[bytes], None], Callable[[bytes], None], Callable[[int], None], Callable[[int], None]
    ]:
        """What appends to each column, for a loop that calls all four of them."""
        return self.topics.append, self.payloads.append, self.flags.append, self.mids.append

    def one(self, at: int) -> Received:
        """A single message."""
        flags = self.flags[at]
        return Received(
            self.topics[at],
            self.payloads[at],
            (flags & QOS) >> 1,
            self.mids[at],
            bool(flags & RETAIN),
            bool(flags & DUP),
            self.observed_us + at,
        )

    def part(self, start: int, end: int) -> "Publishes":
        """The messages from `start` up to `end`."""
        if start == 0 and end >= len(self):
            return self
        part = Publishes()
        part.topics, part.payloads = self.topics[start:end], self.payloads[start:end]
        part.flags, part.mids = self.flags[start:end], self.mids[start:end]
        part.observed_us = self.observed_us + start
        return part

    def acknowledgeable(self) -> list[int]:
        """The numbers of those that wait for an acknowledgement."""
        return [mid for mid, flags in zip(self.mids, self.flags, strict=True) if flags & QOS]

    def redelivered(self, positions: Sequence[int]) -> list[bool]:
        """Which of some the broker says to deliver again."""
        return [bool(self.flags[at] & DUP) for at in positions]

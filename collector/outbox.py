"""What waits to be published: bounded, any thread may add to it."""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple


class Outgoing(NamedTuple):
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Outbox:
    """Of retained messages only the newest of each topic waits; of the others the newest `limit`."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._retained: OrderedDict[str, Outgoing] = OrderedDict()
        self._others: deque[Outgoing] = deque()
        self.dropped = 0

    def put(self, item: Outgoing) -> bool:
        """Add a message; it takes the place of an older retained one of its topic.

        Says whether nothing waited before: of what does, whoever takes it knows already.
        """
        with self._lock:
            is_first = not (self._retained or self._others)
            if item.retain:
                self._retained[item.topic] = item
                return is_first
            if len(self._others) >= self._limit:
                self._others.popleft()
                self.dropped += 1
            self._others.append(item)
            return is_first

    def give_back(self, items: Iterable[Outgoing]) -> None:
        """Return messages that were taken and perhaps not delivered; newer retained ones stay."""
        with self._lock:
            for item in reversed(list(items)):
                if not item.retain:
                    self._others.appendleft(item)
                elif item.topic not in self._retained:
                    self._retained[item.topic] = item
                    self._retained.move_to_end(item.topic, last=False)

    def take(self, count: int) -> list[Outgoing]:
        """At most `count` messages to send now, oldest first."""
        with self._lock:
            taken: list[Outgoing] = []
            while len(taken) < count and self._others:
                taken.append(self._others.popleft())
            while len(taken) < count and self._retained:
                taken.append(self._retained.popitem(last=False)[1])
            return taken

    def __len__(self) -> int:
        with self._lock:
            return len(self._retained) + len(self._others)

"""Flapping: a device changes between running and not running too often for each change to be news.

It flaps from the change that is the n-th within a window (`terms.changes` in a half-open `terms.window`)
until a whole window has passed without any. One window for both makes it steady: a device that stopped
flapping has none of its changes left to begin with again.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple


class FlapTerms(NamedTuple):
    """How many changes within how much time (microseconds) make a device flap."""

    changes: int
    window: int


class Episode(NamedTuple):
    """A device flapped in `[start, end)`: from the change that was one too many until the quiet was proved.

    `changes` are those that made it flap and all that followed. `end` of one that goes on is when it will
    have ended if nothing more happens.
    """

    start: int
    end: int
    changes: int


class Flapping:
    """One device's changes as they come, in order of time; one that is told late counts as the last."""

    __slots__ = ("_changes", "_last", "_recent", "_since", "_terms")

    def __init__(self, terms: FlapTerms) -> None:
        self._terms = terms
        self._recent: deque[int] = deque(maxlen=terms.changes)
        self._last = 0
        self._since: int | None = None
        self._changes = 0

    @classmethod
    def resumed(cls, terms: FlapTerms, episode: Episode) -> "Flapping":
        """A device in the middle of an episode, whose last change was a window before its `end`."""
        device = cls(terms)
        device._since, device._changes = episode.start, episode.changes
        device._last = episode.end - terms.window
        device._recent.append(device._last)
        return device

    @property
    def episode(self) -> Episode | None:
        """The episode that goes on, as far as the changes tell."""
        if self._since is None:
            return None
        return Episode(self._since, self._last + self._terms.window, self._changes)

    @property
    def first(self) -> int | None:
        """The time of the first change that may still count towards an episode."""
        return self._recent[0] if self._recent else None

    @property
    def quiet_at(self) -> int:
        """When all that is remembered will be forgotten, if nothing more happens."""
        return self._last + self._terms.window

    def until(self, at: int) -> Episode | None:
        """Let time pass until `at`: the episode that has ended by then, if one has."""
        if not self._recent or at < self.quiet_at:
            return None
        ended = self.episode
        self._recent.clear()
        self._since = None
        return ended

    def change(self, at: int) -> bool:
        """A change at `at`; whether the device flaps from it on and did not before."""
        at = max(at, self._last) if self._recent else at
        self.until(at)
        self._recent.append(at)
        self._last = at
        if self._since is not None:
            self._changes += 1
            return False
        if len(self._recent) < self._terms.changes or at - self._recent[0] >= self._terms.window:
            return False
        self._since = at
        self._changes = self._terms.changes
        return True


def episodes(changes: Iterable[int], terms: FlapTerms) -> list[Episode]:
    """Every episode of a device whose changes came at these times, in order."""
    device = Flapping(terms)
    found: list[Episode] = []
    for at in changes:
        ended = device.until(at)
        if ended is not None:
            found.append(ended)
        device.change(at)
    if device.episode is not None:
        found.append(device.episode)
    return found

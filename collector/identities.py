"""The identities that were received last and when, in sorted arrays: 16 bytes each and no object."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pulse.batches import Flags, Ints

MOST_SINGLE = 1_024
"""Noted one by one before they go into the arrays, which are copied each time."""


class _Noted(NamedTuple):
    """Identities, ascending and perhaps more than once, and when each was received."""

    identity: Ints
    at_us: Ints

    def with_more(self, identity: Ints, at_us: Ints) -> "_Noted":
        """These and others, which are in order too."""
        where = np.searchsorted(self.identity, identity)
        return _Noted(np.insert(self.identity, where, identity), np.insert(self.at_us, where, at_us))

    def has(self, identity: Ints) -> Flags:
        """Which of some are among these."""
        if not len(self.identity):
            return np.zeros(len(identity), dtype=bool)
        where = np.minimum(np.searchsorted(self.identity, identity), len(self.identity) - 1)
        found: Flags = self.identity[where] == identity
        return found

    def latest(self, identity: int) -> int | None:
        """When it was received last."""
        first, last = np.searchsorted(self.identity, [identity, identity + 1])
        return int(self.at_us[first:last].max()) if first < last else None


_NOTHING = _Noted(*np.empty((2, 0), dtype=np.int64))


class Identities:
    """Remembers the last `remembered` at least, and at most twice as many. One thread at a time."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._single: dict[int, int] = {}
        self._recent, self._older = _NOTHING, _NOTHING

    def latest(self, identity: int) -> int | None:
        """When it was received last, None if it is not remembered."""
        for at_us in (
            self._single.get(identity),
            self._recent.latest(identity),
            self._older.latest(identity),
        ):
            if at_us is not None:
                return at_us
        return None

    def has_any(self, identity: Ints) -> bool:
        """Whether one of some is remembered; quick if they are in order."""
        if self._single and not self._single.keys().isdisjoint(identity.tolist()):
            return True
        return bool(self._recent.has(identity).any() or self._older.has(identity).any())

    def note(self, identity: int, at_us: int) -> None:
        """Remember one."""
        self._single[identity] = at_us
        if len(self._single) >= min(MOST_SINGLE, self._remembered):
            self._settle()

    def note_all(self, identity: Ints, at_us: int) -> None:
        """Remember some, in order, that came together: one time will do for them."""
        self._settle()
        self._recent = self._recent.with_more(identity, np.full(len(identity), at_us, dtype=np.int64))
        self._forget_oldest()

    def forget(self, identities: Iterable[int]) -> None:
        """Remember some no more."""
        gone = list(identities)
        for identity in gone:
            self._single.pop(identity, None)
        self._recent, self._older = (
            _Noted(*(column[~np.isin(noted.identity, gone)] for column in noted))
            for noted in (self._recent, self._older)
        )

    def _settle(self) -> None:
        """Put what was noted one by one into the arrays."""
        if self._single:
            noted = np.array(sorted(self._single.items()), dtype=np.int64)
            self._single = {}
            self._recent = self._recent.with_more(noted[:, 0], noted[:, 1])
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        if len(self._recent.identity) >= self._remembered:
            self._recent, self._older = _NOTHING, self._recent

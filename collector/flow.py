"""How fast messages come into the spool and leave it, from what is counted once in a while."""

from collections import deque
from typing import NamedTuple

WINDOW_S = 30.0
LEAST_S = 2.0
"""Rates over less than this would jump about."""


class Rates(NamedTuple):
    """Messages a second."""

    in_per_s: float
    out_per_s: float


class Flow:
    """Keeps the counts of the last half minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def counted(self, now_s: float, taken: int, waiting: int) -> Rates | None:
        """Rates since the oldest count that is kept.

        `taken` is how many messages ever came, `waiting` how many are still there; None at the beginning.
        """
        self._seen.append((now_s, taken, taken - waiting))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        since_s, came, went = self._seen[0]
        passed_s = now_s - since_s
        if passed_s < LEAST_S:
            return None
        return Rates((taken - came) / passed_s, (taken - waiting - went) / passed_s)

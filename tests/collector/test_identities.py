"""Identities in arrays are remembered as a dictionary would."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector import identities
from collector.identities import MOST_SINGLE, Identities

REMEMBERED = 40
FEW = st.integers(0, 60).map(lambda number: number << 56)


class Remembering(RuleBasedStateMachine):
    """Beside a dictionary of all, and how many were noted since each."""

    def __init__(self) -> None:
        super().__init__()
        self.identities = Identities(REMEMBERED)
        self.at: dict[int, int] = {}
        self.since: dict[int, int] = {}
        self.now = 0

    def _noted(self, some: list[int]) -> None:
        for one in self.since:
            self.since[one] += len(some)
        for one in some:
            self.at[one] = self.now
            self.since[one] = 0

    @rule(one=FEW)
    def note(self, one: int) -> None:
        self.now += 1
        self.identities.note(one, self.now)
        self._noted([one])

    @rule(some=st.sets(FEW, min_size=1, max_size=20))
    def note_all(self, some: set[int]) -> None:
        self.now += 1
        self.identities.note_all(np.array(sorted(some), dtype=np.int64), self.now)
        self._noted(sorted(some))

    @rule(some=st.lists(FEW, max_size=5))
    def forget(self, some: list[int]) -> None:
        self.identities.forget(some)
        for one in some:
            self.at.pop(one, None)
            self.since.pop(one, None)

    @rule(some=st.sets(FEW, max_size=20))
    def ask(self, some: set[int]) -> None:
        asked = np.array(sorted(some), dtype=np.int64)
        assert self.identities.has_any(asked) == any(self.identities.latest(one) is not None for one in some)

    @invariant()
    def the_last_are_remembered_and_nothing_else(self) -> None:
        for one in range(61):
            identity = one << 56
            found = self.identities.latest(identity)
            if self.since.get(identity, REMEMBERED) < REMEMBERED:
                assert found == self.at[identity]
            assert found in (None, self.at.get(identity))


TestRemembering = Remembering.TestCase


def test_memory_is_bounded_however_they_come() -> None:
    noted = Identities(1_000)
    for turn in range(20):
        noted.note_all(np.arange(turn * 700, turn * 700 + 700, dtype=np.int64), turn)
    for one in range(100_000, 100_000 + 5 * MOST_SINGLE):
        noted.note(one, one)
    held = len(noted._single) + len(noted._recent.identity) + len(noted._older.identity)
    assert held < 2 * (1_000 + MOST_SINGLE) + MOST_SINGLE
    assert noted.latest(100_000 + 5 * MOST_SINGLE - 1) is not None
    assert noted.latest(0) is None
    assert identities._NOTHING.latest(0) is None

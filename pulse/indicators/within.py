"""Answers limited to some communities, each set of them kept apart from every other."""

from collections import OrderedDict
from typing import Generic, TypeVar

Within = frozenset[str] | None
"""The communities that an answer is limited to; None stands for all of them, those to come too."""

MOST_SETS = 64
"""Sets of communities whose newest answers are kept."""

_T = TypeVar("_T")


class Kept(Generic[_T]):
    """The newest answer of each set of communities; the set that nobody asked for longest is forgotten.

    Not locked: whoever shares it between threads does that.
    """

    def __init__(self, most: int = MOST_SETS) -> None:
        self._most = most
        self._answers: OrderedDict[Within, _T] = OrderedDict()

    def get(self, within: Within) -> _T | None:
        """What is kept for exactly this set."""
        found = self._answers.get(within)
        if found is not None:
            self._answers.move_to_end(within)
        return found

    def put(self, within: Within, answer: _T) -> _T:
        """Keep the answer of this set, and give it."""
        self._answers[within] = answer
        self._answers.move_to_end(within)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return answer


def covers(within: Within, community: str) -> bool:
    """Whether a community is in the set."""
    return within is None or community in within

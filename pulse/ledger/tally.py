"""How many devices of each community and kind are in which state, counted as they change.

So what is published every moment costs the changes, and not a look at every device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.model import State
from pulse.ledger.rates import Figures

_STATES = len(State)
_Numbers = NDArray[np.signedinteger[Any]]
_SERVING = [state for state in State if state not in (State.NOT_COMMISSIONED, State.RETIRED)]


class Tally:
    """Counts devices by place, accounted state and presence."""

    def __init__(self, places: Sequence[tuple[str, str]]) -> None:
        self._places = places
        self._counts: _Numbers = np.zeros((len(places), _STATES, _STATES), dtype=np.int64)

    def add(self, place: _Numbers, state: _Numbers, presence: _Numbers) -> None:
        """Count devices, one element each."""
        np.add.at(self._counts, (place, state, presence), 1)

    def take(self, place: _Numbers, state: _Numbers, presence: _Numbers) -> None:
        """Count them no more."""
        np.subtract.at(self._counts, (place, state, presence), 1)

    def move(self, place: int, presence: int, before: State, after: State) -> None:
        """The state of one device changed."""
        self._counts[place, before, presence] -= 1
        self._counts[place, after, presence] += 1

    def figures(self) -> dict[tuple[str, str], Figures]:
        """The figures by (community, kind)."""
        serving = self._counts[:, _SERVING, :].sum(axis=1)
        return {
            place: Figures(amounts.tolist(), int(present[State.ONLINE]), int(present[State.UNKNOWN]))
            for place, amounts, present in zip(self._places, self._counts.sum(axis=2), serving, strict=True)
            if amounts.any()
        }

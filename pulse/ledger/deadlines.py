"""Which devices are due: a wheel of time slots that costs nothing while nothing is due."""

import heapq

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.columns import Ints
from pulse.ledger.model import FOREVER

_NOWHERE = -FOREVER - 1
"""No slot: earlier than that of any time."""


class Deadlines:
    """The next instant of every device at which its state may change by itself.

    A device stands in at most one slot. A deadline that moves later (every beat) leaves it where it is:
    when the slot comes round, the device moves on to where its deadline is by then. So a beat costs one
    element of a column, and a sweep the devices whose slot has come. 20 bytes a device.
    """

    def __init__(self, count: int, slot_width: int) -> None:
        self._width = slot_width
        self.due: Ints = np.full(count, FOREVER, dtype=np.int64)
        self._slot: Ints = np.full(count, _NOWHERE, dtype=np.int64)
        self._slots: dict[int, list[NDArray[np.int32]]] = {}
        self._order: list[int] = []

    def set(self, positions: Ints, due: Ints) -> None:
        """Set the deadlines of distinct devices; `FOREVER` means none."""
        self.due[positions] = due
        wanted = due // self._width
        moves = (due < FOREVER) & ((self._slot[positions] == _NOWHERE) | (wanted < self._slot[positions]))
        if not moves.any():
            return
        moving, wanted = positions[moves], wanted[moves]
        self._slot[moving] = wanted
        by_slot = np.argsort(wanted, kind="stable")
        moving, wanted = moving[by_slot].astype(np.int32), wanted[by_slot]
        slots, first = np.unique(wanted, return_index=True)
        for slot, group in zip(slots.tolist(), np.split(moving, first[1:]), strict=True):
            if slot not in self._slots:
                self._slots[slot] = []
                heapq.heappush(self._order, slot)
            self._slots[slot].append(group)

    def pop(self, now: int) -> tuple[Ints, Ints]:
        """Take out the devices due by `now`, with their deadlines; they have none until one is set."""
        ready: list[Ints] = []
        waiting: list[Ints] = []
        while self._order and self._order[0] <= now // self._width:
            slot = heapq.heappop(self._order)
            here = np.unique(np.concatenate(self._slots.pop(slot))).astype(np.int64)
            here = here[self._slot[here] == slot]
            self._slot[here] = _NOWHERE
            due = self.due[here]
            ready.append(here[due <= now])
            waiting.append(here[(due > now) & (due < FOREVER)])
        for later in waiting:
            self.set(later, self.due[later])
        popped = np.concatenate(ready) if ready else np.empty(0, dtype=np.int64)
        due = self.due[popped]
        self.due[popped] = FOREVER
        return popped, due

"""Numbers that devices skip: of a device that counts its messages, what is missing shows.

Held in columns by the position in the fleet, 17 bytes a device, and looked at a batch at a time.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulse.batches import ABSENT, Ints, MessageColumns, by_number
from pulse.ledger.fleet import Fleet

STEADY = 5
"""So many times in a row a device's number has to have risen by one before a jump tells of a loss."""


class Skip(NamedTuple):
    """Messages of a device are missing between the one of `last_us` and the next, of `first_us`."""

    device: str
    last_us: int
    first_us: int


class Sequences:
    """The last number of every device, when that was, and how steadily it rose. One thread at a time."""

    def __init__(self) -> None:
        self._fleet = Fleet()
        self._seq: Ints = np.empty(0, dtype=np.int64)
        self._at: Ints = np.empty(0, dtype=np.int64)
        self._steady: NDArray[np.int8] = np.empty(0, dtype=np.int8)

    def took(self, messages: MessageColumns, fleet: Fleet, where: Ints, at: Ints) -> list[Skip]:
        """Take messages in, in order of reception, and tell what steady devices skipped.

        `where` has the position in the fleet of each of their origins, -1 for a stranger; `at` the time that
        each is evidence of, `ABSENT` where nobody knows it. Retained copies say nothing, nor do messages
        without a number. One that is not above the last, as after a restart, begins the count anew.
        """
        self._follow(fleet)
        rows = np.flatnonzero(messages.numbered & ~messages.retained & (where[messages.origin] >= 0))
        if not len(rows):
            return []
        device = where[messages.origin[rows]]
        order = by_number(device)
        device, rows = device[order], rows[order]
        seq, time = messages.seq[rows], at[rows]
        begins = np.append(True, device[1:] != device[:-1])
        before = np.where(begins, self._seq[device], np.roll(seq, 1))
        before_at = np.where(begins, self._at[device], np.roll(time, 1))
        # The greatest number has none after it: the count begins anew.
        rises = seq == before + 1
        index = np.arange(len(seq))
        broken = np.maximum.accumulate(np.where(rises, -1, index))
        start = np.maximum.accumulate(np.where(begins, index, 0))
        steady = np.where(broken >= start, index - broken, index - start + 1 + self._steady[device])
        steady_before = np.where(begins, self._steady[device], np.roll(steady, 1))
        told = (seq > before) & ~rises & (steady_before >= STEADY)
        skipped = np.flatnonzero(told & (time != ABSENT) & (before_at != ABSENT))
        last = np.append(np.flatnonzero(begins)[1:], len(seq)) - 1
        self._seq[device[last]], self._at[device[last]] = seq[last], time[last]
        self._steady[device[last]] = np.minimum(steady[last], STEADY)
        columns = (device[skipped].tolist(), before_at[skipped].tolist(), time[skipped].tolist())
        return [Skip(fleet.id(one), *times) for one, *times in zip(*columns, strict=True)]

    def forget(self) -> None:
        """What was taken in last is not kept and comes again: nobody is steady any more."""
        self._steady[:] = 0

    def _follow(self, fleet: Fleet) -> None:
        if fleet is self._fleet:
            return
        there = fleet.index.located(self._fleet.index)
        here = np.flatnonzero(there >= 0)
        seq, at = np.full((2, len(fleet)), ABSENT, dtype=np.int64)
        steady = np.zeros(len(fleet), dtype=np.int8)
        seq[here], at[here], steady[here] = (
            column[there[here]] for column in (self._seq, self._at, self._steady)
        )
        self._fleet, self._seq, self._at, self._steady = fleet, seq, at, steady

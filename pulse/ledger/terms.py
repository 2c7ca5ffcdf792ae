"""Terms of many devices in columns: which timeout, lateness and clock trust is in force for a piece."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.columns import Flags, Ints
from pulse.ledger.model import Device, Terms


class Judging(NamedTuple):
    """Per message: the agreed lateness and whether its device's clock is untrusted."""

    max_lateness: Ints
    untrusted: Flags


class TermsColumns:
    """The terms of devices: `lists` are the different lists that there are, `number` says whose is whose.

    Many devices have the same few; what is in force costs one look-up for a device whose terms never changed,
    and one search in its list for another.
    """

    def __init__(self, lists: Sequence[tuple[Terms, ...]], number: NDArray[np.int32]) -> None:
        self.lists = lists
        self.number = number
        every = [terms for agreed in lists for terms in agreed]
        self._timeout = np.array([t.timeout for t in every], dtype=np.int64)
        self._lateness = np.array([t.max_lateness for t in every], dtype=np.int64)
        self._untrusted = np.array([t.clock_untrusted for t in every], dtype=bool)
        lengths = np.array([len(agreed) for agreed in lists], dtype=np.int64)
        self._first: Ints = np.cumsum(lengths) - lengths
        self._changing: Flags = lengths > 1
        self._any_changing = bool(self._changing.any())
        self._longest = np.array([max(t.timeout for t in agreed) for agreed in lists], dtype=np.int64)
        self._ever_late = np.array([any(t.max_lateness for t in agreed) for agreed in lists], dtype=bool)
        self._ever_untrusted = np.array([any(t.clock_untrusted for t in agreed) for agreed in lists], bool)

    @classmethod
    def of_devices(cls, devices: Iterable[Device]) -> "TermsColumns":
        """The terms of devices, by their positions."""
        lists: dict[tuple[Terms, ...], int] = {}
        number = [lists.setdefault(device.terms, len(lists)) for device in devices]
        return cls(list(lists), np.array(number, dtype=np.int32))

    def of(self, device: int) -> tuple[Terms, ...]:
        """The list of one device."""
        return self.lists[int(self.number[device])]

    def timeout(self, device: Ints, at: Ints) -> Ints:
        """The timeout of each of `device` in force at `at`."""
        return self._timeout[self._in_force(device, at)]

    def judging(self, device: Ints, measured: Ints) -> Judging:
        """How a measured time of each of `device` is judged at that time."""
        chosen = self._in_force(device, measured)
        return Judging(self._lateness[chosen], self._untrusted[chosen])

    def timeouts_of_lists(self, at: int) -> Ints:
        """The timeout of each list in force at `at`."""
        return np.array([in_force(agreed, at).timeout for agreed in self.lists], dtype=np.int64)

    def longest_timeout(self, device: Ints) -> Ints:
        """The longest timeout that each of `device` ever had."""
        return self._longest[self.number[device]]

    def may_be_late(self, device: Ints) -> Flags:
        """Whether each of `device` was ever declared to buffer."""
        flags: Flags = self._ever_late[self.number[device]]
        return flags

    def may_be_distrusted(self, device: Ints) -> Flags:
        """Whether the clock of each of `device` was ever distrusted."""
        flags: Flags = self._ever_untrusted[self.number[device]]
        return flags

    def _in_force(self, device: Ints, at: Ints) -> Ints:
        """Which of all terms are in force for each of `device` at `at` (twin: `Device.terms_at`)."""
        number = self.number[device]
        chosen = self._first[number]
        if not self._any_changing:
            return chosen
        changing = np.flatnonzero(self._changing[number])
        for one in np.unique(number[changing]).tolist():
            rows = changing[number[changing] == one]
            since = np.array([terms.since for terms in self.lists[one][1:]], dtype=np.int64)
            chosen[rows] += np.searchsorted(since, at[rows], side="right")
        return chosen


def in_force(agreed: tuple[Terms, ...], at: int) -> Terms:
    """The terms of a list in force at `at`."""
    return next((terms for terms in reversed(agreed[1:]) if terms.since <= at), agreed[0])

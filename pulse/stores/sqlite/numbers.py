"""What is remembered of each device beside the file: its number there, and the last hour it was heard in."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.columns import Ints
from pulse.ledger.index import Index, hashes_of, texts_of
from pulse.stores.sqlite.queries import NO_HOUR

RECENT = 65_536
"""Names that are kept in a dictionary until they are put with the others."""


class Numbers:
    """The file's numbers of device names: fast for few, and 30 bytes each where there are many."""

    def __init__(self) -> None:
        self._recent: dict[str, int] = {}
        self._index = Index(texts_of(()), hashes_of(()))
        self._numbers: Ints = np.empty(0, dtype=np.int64)
        self._last_hour: NDArray[np.int32] = np.empty(0, dtype=np.int32)

    def of(self, names: Sequence[str], ask: Callable[[Sequence[str]], Mapping[str, int]]) -> Ints:
        """The number of each name; `ask` is asked once for those that nobody knows yet."""
        found = np.full(len(names), -1, dtype=np.int64)
        if len(self._index):
            place = self._index.positions(names)
            found[place >= 0] = self._numbers[place[place >= 0]]
        rest = np.flatnonzero(found < 0).tolist()
        unknown = {names[at] for at in rest if names[at] not in self._recent}
        if unknown:
            self._recent.update(ask(sorted(unknown)))
        found[rest] = [self._recent[names[at]] for at in rest]
        if len(self._recent) > RECENT:
            self._settle()
        return found

    def later_hours(self, numbers: Ints, hours: Ints) -> dict[int, int]:
        """Of devices (one may come twice) the latest hour, where it is later than what is noted."""
        self._make_room(numbers)
        devices, where = np.unique(numbers, return_inverse=True)
        latest = np.full(len(devices), NO_HOUR, dtype=np.int64)
        np.maximum.at(latest, where, hours)
        later = latest > self._last_hour[devices]
        return dict(zip(devices[later].tolist(), latest[later].tolist(), strict=True))

    def note_hours(self, hours: dict[int, int]) -> None:
        """Note the last hour of devices."""
        devices = np.array(list(hours), dtype=np.int64)
        self._make_room(devices)
        self._last_hour[devices] = list(hours.values())

    def _settle(self) -> None:
        names = list(self._recent)
        ids = np.concatenate([self._index.ids, texts_of(names)])
        hashes = np.concatenate([self._index.hashes(), hashes_of(names)])
        self._numbers = np.append(self._numbers, list(self._recent.values()))
        self._index = Index(ids, hashes)
        self._recent = {}

    def _make_room(self, devices: Ints) -> None:
        needed = int(devices.max(initial=-1)) + 1
        if needed > len(self._last_hour):
            fresh = np.full(max(needed, len(self._last_hour) * 5 // 4), NO_HOUR, dtype=np.int32)
            fresh[: len(self._last_hour)] = self._last_hour
            self._last_hour = fresh

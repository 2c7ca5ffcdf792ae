"""Finding positions by id among many: a sorted column of hashes instead of a dictionary of objects."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.columns import Flags, Ints

CHUNK = 65_536
"""Devices that are looked at together where all are: few enough that the intermediate columns stay small."""

Texts = NDArray[np.bytes_]


def hashes_of(ids: Sequence[str]) -> Ints:
    """The interpreter's hash of each; another process has others."""
    return np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids))


def texts_of(ids: Sequence[str]) -> Texts:
    """Ids as a column, as wide as the longest."""
    return np.array([one.encode() for one in ids], dtype=np.bytes_)


class Index:
    """Ids by position, all different; each takes 12 bytes and the length of the longest."""

    def __init__(self, ids: Texts, hashes: Ints) -> None:
        self.ids = ids
        self._by_hash = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._by_hash]

    def __len__(self) -> int:
        return len(self._by_hash)

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), CHUNK):
            yield from (text.decode() for text in self.ids[first : first + CHUNK].tolist())

    def hashes(self) -> Ints:
        """The hash of each id."""
        found = np.empty_like(self._hashes)
        found[self._by_hash] = self._hashes
        return found

    def positions(self, ids: Sequence[str]) -> Ints:
        """Where these ids are, -1 for those that are not there."""
        return self._find(hashes_of(ids), texts_of(ids))

    def located(self, other: "Index") -> Ints:
        """For each own id its position in another index, -1 if it is not there."""
        found = np.empty(len(self), dtype=np.int64)
        for first in range(0, len(self), CHUNK):
            own = self._by_hash[first : first + CHUNK]
            found[own] = other._find(self._hashes[first : first + CHUNK], self.ids[own])
        return found

    def located_ids(self, ids: Texts) -> Ints:
        """`positions` of ids that are a column already."""
        if ids.shape == self.ids.shape and bool((ids == self.ids).all()):
            return np.arange(len(self), dtype=np.int64)
        found = np.empty(len(ids), dtype=np.int64)
        for first in range(0, len(ids), CHUNK):
            some = [text.decode(errors="replace") for text in ids[first : first + CHUNK].tolist()]
            found[first : first + CHUNK] = self.positions(some)
        return found

    def _find(self, hashes: Ints, ids: Texts) -> Ints:
        found = np.full(len(hashes), -1, dtype=np.int64)
        if not len(self):
            return found
        asked = np.arange(len(hashes))
        place = np.searchsorted(self._hashes, hashes)
        while len(asked):
            here: Flags = place < len(self)
            asked, place = asked[here], place[here]
            here = self._hashes[place] == hashes[asked]
            asked, place = asked[here], place[here]
            candidate = self._by_hash[place]
            same: Flags = self.ids[candidate] == ids[asked]
            found[asked[same]] = candidate[same]
            # Two ids may share a hash: the next may be the one.
            asked, place = asked[~same], place[~same] + 1
        return found

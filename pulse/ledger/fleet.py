"""Every registered device, in columns: a `Device` comes into being when one is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.columns import Flags, Ints
from pulse.ledger.model import FOREVER, Device, Terms
from pulse.ledger.terms import TermsColumns

CHUNK = 65_536
"""Devices that are looked at together where all are: few enough that the intermediate columns stay small."""

Texts = NDArray[np.bytes_]


_KINDS = (np.int64, np.int32, np.int32, np.int64, np.int64, np.int64, np.int64)


class Fleet(Mapping[str, Device]):
    """Devices by position, and found by id; each takes 52 bytes and the length of the longest id.

    `place` is a position in `places`, the communities and kinds that there are together; `retired` is
    `FOREVER` for a device in service. Devices keep the order in which they were given. What was once made
    never changes, so any thread may look.
    """

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        places: dict[tuple[str, str], int] = {}
        lists: dict[tuple[Terms, ...], int] = {}
        stream = iter(devices)
        parts: list[list[NDArray[Any]]] = [[np.empty(0, dtype=kind)] for kind in ("S1", *_KINDS)]
        while some := list(islice(stream, CHUNK)):
            rows = _rows(some, places, lists)
            parts[0].append(np.array([d.id.encode() for d in some]))
            for part, column, kind in zip(parts[1:], zip(*rows, strict=True), _KINDS, strict=True):
                part.append(np.array(column, dtype=kind))

        def joined() -> NDArray[Any]:
            # What is joined is let go at once: a fleet is never there twice.
            return np.concatenate(parts.pop(0))

        self.places = list(places)
        self.ids: Texts = joined()
        hashes: Ints = joined()
        self._by_hash = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._by_hash]
        self.place: NDArray[np.int32] = joined()
        self.terms = TermsColumns(list(lists), joined())
        self.commissioned: Ints = joined()
        self.retired: Ints = joined()
        self.commissioned_recorded: Ints = joined()
        self.retired_recorded: Ints = joined()

    # One device.

    def __len__(self) -> int:
        return len(self.place)

    def __iter__(self) -> Iterator[str]:
        return (text.decode() for first in range(0, len(self), CHUNK) for text in self._some_ids(first))

    def __contains__(self, device: object) -> bool:
        return isinstance(device, str) and int(self.positions([device])[0]) >= 0

    def __getitem__(self, device: str) -> Device:
        position = int(self.positions([device])[0])
        if position < 0:
            raise KeyError(device)
        return self.device(position)

    def id(self, position: int) -> str:
        """The id of the device at a position."""
        text: bytes = self.ids[position]
        return text.decode()

    def device(self, position: int) -> Device:
        """The device at a position."""
        community, kind = self.places[self.place[position]]
        retired = int(self.retired[position])
        return Device(
            self.id(position),
            community,
            kind,
            self.terms.of(position),
            int(self.commissioned[position]),
            None if retired == FOREVER else retired,
            int(self.commissioned_recorded[position]),
            int(self.retired_recorded[position]),
        )

    # Many.

    def positions(self, ids: Sequence[str]) -> Ints:
        """Where the devices with these ids are, -1 for those that nobody registered."""
        hashes = np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids))
        return self._find(hashes, np.array([device.encode() for device in ids], dtype=np.bytes_))

    def places_of(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """The community and kind of registered devices."""
        return [self.places[number] for number in self.place[self.positions(ids)].tolist()]

    def located(self, other: "Fleet") -> Ints:
        """For each own device its position in another fleet, -1 if it is not there."""
        found = np.empty(len(self), dtype=np.int64)
        for first in range(0, len(self), CHUNK):
            own = self._by_hash[first : first + CHUNK]
            found[own] = other._find(self._hashes[first : first + CHUNK], self.ids[own])
        return found

    def located_ids(self, ids: Texts) -> Ints:
        """`positions` of ids as the column `ids` of a fleet has them."""
        if ids.shape == self.ids.shape and bool((ids == self.ids).all()):
            return np.arange(len(self), dtype=np.int64)
        found = np.empty(len(ids), dtype=np.int64)
        for first in range(0, len(ids), CHUNK):
            some = [text.decode(errors="replace") for text in ids[first : first + CHUNK].tolist()]
            found[first : first + CHUNK] = self.positions(some)
        return found

    def _some_ids(self, first: int) -> list[bytes]:
        found: list[bytes] = self.ids[first : first + CHUNK].tolist()
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


def _rows(
    devices: Sequence[Device], places: dict[tuple[str, str], int], lists: dict[tuple[Terms, ...], int]
) -> list[tuple[int, ...]]:
    """Hash of the id, numbers of place and terms, and the four times; new places and terms are added."""
    return [
        (
            hash(d.id),
            places.setdefault((d.community, d.kind), len(places)),
            lists.setdefault(d.terms, len(lists)),
            d.commissioned,
            FOREVER if d.retired is None else d.retired,
            d.commissioned_recorded,
            d.retired_recorded,
        )
        for d in devices
    ]

"""Every registered device, in columns: a `Device` comes into being when one is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulse.ledger.columns import Ints
from pulse.ledger.index import CHUNK, Index
from pulse.ledger.model import FOREVER, Device, Terms
from pulse.ledger.terms import TermsColumns

_KINDS = (np.int64, np.int32, np.int32, np.int64, np.int64, np.int64, np.int64)


class Fleet(Mapping[str, Device]):
    """Devices by position, and found by id; each takes 52 bytes and the length of the longest id.

    `index` has the ids, `place` is a position in `places`, the communities and kinds that there are together;
    `retired` is `FOREVER` for a device in service. Devices keep the order in which they were given. What was
    once made never changes, so any thread may look.
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
        self.index = Index(joined(), joined())
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
        return iter(self.index)

    def __contains__(self, device: object) -> bool:
        return isinstance(device, str) and int(self.positions([device])[0]) >= 0

    def __getitem__(self, device: str) -> Device:
        position = int(self.positions([device])[0])
        if position < 0:
            raise KeyError(device)
        return self.device(position)

    def id(self, position: int) -> str:
        """The id of the device at a position."""
        text: bytes = self.index.ids[position]
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
        return self.index.positions(ids)

    def places_of(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """The community and kind of registered devices."""
        return [self.places[number] for number in self.place[self.positions(ids)].tolist()]


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

"""Every registered device, in columns: a `Device` comes into being when one is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulse.batches import Origin
from pulse.ledger.columns import Ints
from pulse.ledger.index import CHUNK, Index, hashes_of, texts_of
from pulse.ledger.model import FOREVER, Device, Terms
from pulse.ledger.terms import TermsColumns

_KINDS = (np.int64, np.int32, np.int32, np.int64, np.int64, np.int64, np.int64)


class DeviceColumns(NamedTuple):
    """Some devices, a column for each member of `Device`, in its order; `FOREVER` for one not retired."""

    ids: Sequence[str]
    communities: Sequence[str]
    kinds: Sequence[str]
    terms: Sequence[tuple[Terms, ...]]
    commissioned: Sequence[int]
    retired: Sequence[int]
    commissioned_recorded: Sequence[int]
    retired_recorded: Sequence[int]


class Fleet(Mapping[str, Device]):
    """Devices by position, and found by id; each takes 52 bytes and the length of the longest id.

    `index` has the ids, `place` is a position in `places`, the communities and kinds that there are together;
    `retired` is `FOREVER` for a device in service. Devices keep the order in which they were given. What was
    once made never changes, so any thread may look.
    """

    def __init__(self, devices: Iterable[Device] | Iterable[DeviceColumns] = ()) -> None:
        places: dict[tuple[str, str], int] = {}
        lists: dict[tuple[Terms, ...], int] = {}
        parts: list[list[NDArray[Any]]] = [[np.empty(0, dtype=kind)] for kind in ("S1", *_KINDS)]
        for some in _in_columns(devices):
            place = [
                places.setdefault(one, len(places)) for one in zip(some.communities, some.kinds, strict=True)
            ]
            agreed = [lists.setdefault(one, len(lists)) for one in some.terms]
            columns = (texts_of(some.ids), hashes_of(some.ids), place, agreed, *some[4:])
            for part, column, kind in zip(parts, columns, (np.bytes_, *_KINDS), strict=True):
                part.append(np.asarray(column, dtype=kind))

        def joined() -> NDArray[Any]:
            # What is joined is let go at once: a fleet is never there twice.
            return np.concatenate(parts.pop(0))

        self.places = list(places)
        self._place_numbers = places
        self._asked: tuple[Sequence[Origin], int, Ints] = (), 0, np.empty(0, dtype=np.int64)
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
        columns = (self.commissioned, self.retired, self.commissioned_recorded, self.retired_recorded)
        times = [int(column[position]) for column in columns]
        return self._device(
            self.id(position), int(self.place[position]), int(self.terms.number[position]), times
        )

    def _device(self, name: str, place: int, agreed: int, times: Sequence[int]) -> Device:
        community, kind = self.places[place]
        commissioned, retired, commissioned_recorded, retired_recorded = times
        return Device(
            name,
            community,
            kind,
            self.terms.lists[agreed],
            commissioned,
            None if retired == FOREVER else retired,
            commissioned_recorded,
            retired_recorded,
        )

    # Many.

    def devices(self) -> Iterator[Device]:
        """Every device, in order."""
        columns = (self.commissioned, self.retired, self.commissioned_recorded, self.retired_recorded)
        for first in range(0, len(self), CHUNK):
            part = slice(first, first + CHUNK)
            members = [column[part].tolist() for column in (self.place, self.terms.number, *columns)]
            ids = self.index.ids[part].tolist()
            for name, place, agreed, *times in zip(ids, *members, strict=True):
                yield self._device(name.decode(), place, agreed, times)

    def positions(self, ids: Sequence[str]) -> Ints:
        """Where the devices with these ids are, -1 for those that nobody registered."""
        return self.index.positions(ids)

    def ids(self, positions: Ints) -> list[str]:
        """The ids of the devices at these positions."""
        return [text.decode() for text in self.index.ids[positions].tolist()]

    def positions_of(self, origins: Sequence[Origin]) -> Ints:
        """`positions` of the devices of origins, not to be written to.

        A step asks several times about the same ones, and so does the next step.
        """
        asked, count, found = self._asked
        # A list that is being made may have grown since.
        if asked is not origins or count != len(origins):
            found = self.positions([origin.device for origin in origins])
            found.flags.writeable = False
            self._asked = origins, len(origins), found
        return found

    def place_numbers(self, places: Sequence[tuple[str, str]]) -> Ints:
        """Where in `places` each of these is, -1 where no device is there."""
        return np.array([self._place_numbers.get(place, -1) for place in places], dtype=np.int64)

    def places_of(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """The community and kind of registered devices."""
        return [self.places[number] for number in self.place[self.positions(ids)].tolist()]


def device_columns(devices: Sequence[Device]) -> DeviceColumns:
    """Devices as columns; at least one."""
    ids, communities, kinds, terms, commissioned, retired, *recorded = zip(*devices, strict=True)
    until = [FOREVER if at is None else at for at in retired]
    return DeviceColumns(ids, communities, kinds, terms, commissioned, until, recorded[0], recorded[1])


def _in_columns(devices: Iterable[Device] | Iterable[DeviceColumns]) -> Iterator[DeviceColumns]:
    single: list[Device] = []
    for one in devices:
        if isinstance(one, DeviceColumns):
            yield one
            continue
        single.append(one)
        if len(single) == CHUNK:
            yield device_columns(single)
            single = []
    if single:
        yield device_columns(single)

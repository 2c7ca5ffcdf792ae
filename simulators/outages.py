"""What went wrong in the days before: each device's outages, drawn from the seed.

Failures come as a Poisson process and repairs take log-normal time, the usual assumptions about
repairable electronics (MIL-HDBK-472, 1966); on top of them come incidents that hit many devices at once,
and nights.
"""

import math
from bisect import bisect
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.ledger.model import FOREVER, Blind, Maintenance, Scope
from pulse.registry.model import DeviceRecord
from simulators import chance
from simulators.faults import Behaviour
from simulators.fleet import Fleet, device_key, half_up
from simulators.places import PUBLIC_AREA

OUTAGES_A_MONTH = 3.0
MONTH_US = round(30.44 * DAY_US)
TYPICAL_REPAIR_US = 40 * MINUTE_US
REPAIR_SPREAD = 1.35
SHORTEST_US = 90 * SECOND_US
LONGEST_US = 60 * HOUR_US

SETTLED_US = 15 * MINUTE_US
"""At the end every device that is not down for good has been well for so long."""
APART_US = 10 * MINUTE_US
_LOCAL_US = 8 * HOUR_US
_OF = 826


class Way(Enum):
    """How a device fails."""

    HANG = 0
    """It says nothing any more; its connection stands."""
    DEATH = 1
    """It is gone, and the broker sends its last will at once."""
    NETWORK = 2
    """It cannot be reached, and the broker sends its last will when pings stay out."""
    FAULT = 3
    """It goes on beating and reports a fault."""


class Outage(NamedTuple):
    """`[start, end)`, microseconds; `end` is `FOREVER` for a device that is still down."""

    start: int
    end: int
    way: Way


class Work(NamedTuple):
    """A maintenance window with what people wrote into it."""

    window: Maintenance
    reason: str
    author: str


class Week(NamedTuple):
    """What happened between `start_us` and `end_us`. Devices in `never` were never switched on."""

    start_us: int
    end_us: int
    outages: dict[str, tuple[Outage, ...]]
    never: frozenset[str]
    blinds: tuple[Blind, ...]
    works: tuple[Work, ...]


_DOWN_WAYS = {
    Behaviour.SILENT: Way.HANG,
    Behaviour.KILLED: Way.DEATH,
    Behaviour.FAULT: Way.FAULT,
    Behaviour.CUT_OFF_BUFFERING: Way.NETWORK,
}


def week(fleet: Fleet, seed: int, end_us: int, days: int) -> Week:
    """The past of a fleet until `end_us`. The devices that are down for good are down at its end."""
    start_us = end_us - days * DAY_US
    drawn = _Drawn(fleet, chance.key(seed, "week"), start_us, end_us)
    drawn.lasting()
    drawn.incident("network", 2, 14 * HOUR_US + 20 * MINUTE_US, 25 * MINUTE_US, 40, Way.NETWORK)
    drawn.incident("power", 5, 19 * HOUR_US + 40 * MINUTE_US, 12 * MINUTE_US, 22, Way.DEATH)
    works = drawn.maintenance(4, 10 * HOUR_US, 12 * HOUR_US)
    drawn.nights(7)
    drawn.everyday()
    return Week(
        start_us,
        end_us,
        {device: tuple(outages) for device, outages in drawn.outages.items()},
        drawn.never,
        _blinds(start_us, end_us),
        works,
    )


def _blinds(start_us: int, end_us: int) -> tuple[Blind, ...]:
    """The broker was serviced for four minutes one night, and its network failed for a moment one day."""
    spans = (
        (_on_day(start_us, 3, 3 * HOUR_US + 10 * MINUTE_US), 4 * MINUTE_US),
        (_on_day(start_us, 5, 16 * HOUR_US + 25 * MINUTE_US), 75 * SECOND_US),
    )
    return tuple(
        Blind(at, at + lasting, at, cause="no_connection")
        for at, lasting in spans
        if at + lasting < end_us - HOUR_US
    )


def _on_day(start_us: int, day: int, time_of_day_us: int) -> int:
    """A local time of day (UTC+8); day 1 is the first whole one."""
    midnight = -(-(start_us + _LOCAL_US) // DAY_US) * DAY_US - _LOCAL_US
    return midnight + (day - 1) * DAY_US + time_of_day_us


class _Drawn:
    """Outages as they are drawn; what comes first stays, later ones have to fit around it."""

    def __init__(self, fleet: Fleet, key: int, start_us: int, end_us: int) -> None:
        self.outages: dict[str, list[Outage]] = {device.id: [] for device in fleet.devices}
        self.never = frozenset(
            device
            for device, fault in fleet.faults.items()
            if fault.is_down_for_good and fault.behaviour is Behaviour.NEVER_ACTIVATED
        )
        self._fleet = fleet
        self._key = key
        self._start_us = start_us
        self._end_us = end_us

    def lasting(self) -> None:
        """The devices that are down at the end, since two hours to six days before it."""
        longest = 0.85 * (self._end_us - self._start_us)
        shortest = min(2 * HOUR_US, longest)
        for device in sorted(self._fleet.down - self.never):
            share = chance.uniform(chance.key(self._key, "since", device))
            ago = math.exp(math.log(shortest) + share * math.log(longest / shortest))
            way = _DOWN_WAYS[self._fleet.faults[device].behaviour]
            self.outages[device].append(Outage(self._end_us - int(ago), FOREVER, way))

    def incident(
        self, name: str, day: int, time_of_day_us: int, lasting_us: int, devices_of_826: int, way: Way
    ) -> None:
        """Whole buildings of one community at once, until about so many devices are hit."""
        at = _on_day(self._start_us, day, time_of_day_us)
        wanted = half_up(devices_of_826 * len(self._fleet.devices), _OF)
        community = chance.pick(chance.key(self._key, name), [c.id for c in self._fleet.communities])
        inside = [d for d in self._fleet.devices if d.community == community and d.building != PUBLIC_AREA]
        buildings = sorted({d.building for d in inside}, key=lambda b: chance.key(self._key, name, b))
        hit: list[DeviceRecord] = []
        for building in buildings:
            if len(hit) >= wanted:
                break
            hit += [d for d in inside if d.building == building]
        for device in hit[: wanted + wanted // 4]:
            own = chance.key(self._key, name, device.id)
            begun = at + int(chance.uniform(own, 0) * 8 * SECOND_US)
            over = at + lasting_us + int(chance.uniform(own, 1) * 40 * SECOND_US)
            self._add(device.id, Outage(begun, over, way))

    def maintenance(self, day: int, from_us: int, to_us: int) -> tuple[Work, ...]:
        """Firmware of one kind in one community is renewed, in an announced window."""
        start, end = _on_day(self._start_us, day, from_us), _on_day(self._start_us, day, to_us)
        if end > self._end_us - SETTLED_US:
            return ()
        kinds = [kind.id for kind in self._fleet.kinds]
        kind = "access_control" if "access_control" in kinds else kinds[0]
        community = self._fleet.communities[len(self._fleet.communities) // 2]
        recorded = start - 19 * HOUR_US
        window = Maintenance(start, end, recorded, scope=Scope(kind=kind, community=community.id))
        for device in self._fleet.devices:
            if (device.kind, device.community) != (kind, community.id):
                continue
            own = chance.key(self._key, "maintenance", device.id)
            begun = start + 6 * MINUTE_US + int(chance.uniform(own, 0) * (end - start) * 0.5)
            lasting = 12 * MINUTE_US + int(chance.uniform(own, 1) * 30 * MINUTE_US)
            if chance.uniform(own, 2) < 0.6:
                self._add(device.id, Outage(begun, min(begun + lasting, end - MINUTE_US), Way.DEATH))
        return (Work(window, "固件升级 / firmware update", "demo"),)

    def nights(self, devices_of_826: int) -> None:
        """A few devices hang on a circuit that is switched off at night."""
        wanted = half_up(devices_of_826 * len(self._fleet.devices), _OF)
        well = [d.id for d in self._fleet.devices if d.id not in self._fleet.faults]
        circuit = sorted(well, key=lambda device: chance.key(self._key, "circuit", device))[:wanted]
        for day in range((self._end_us - self._start_us) // DAY_US + 1):
            off = _on_day(self._start_us, day, HOUR_US + 10 * MINUTE_US)
            on = _on_day(self._start_us, day, 4 * HOUR_US + 50 * MINUTE_US)
            for device in circuit:
                own = chance.key(self._key, "night", day, device)
                wander = int((chance.uniform(own) - 0.5) * 10 * MINUTE_US)
                self._add(device, Outage(off + wander, on + wander // 2, Way.HANG))

    def everyday(self) -> None:
        """What breaks by itself, about three times a month for each device."""
        mean_gap_us = MONTH_US / OUTAGES_A_MONTH
        for device in self._fleet.devices:
            own = device_key(chance.key(self._key, "everyday"), device.id)
            at, draw = float(self._start_us), 0
            while True:
                at -= math.log(1 - chance.uniform(own, draw)) * mean_gap_us
                if at >= self._end_us:
                    break
                repair = TYPICAL_REPAIR_US * math.exp(REPAIR_SPREAD * chance.normal(own, draw + 1))
                lasting = min(max(int(repair), SHORTEST_US), LONGEST_US)
                self._add(device.id, Outage(int(at), int(at) + lasting, _way(own, draw + 2)))
                at += lasting
                draw += 3

    def _add(self, device: str, outage: Outage) -> None:
        """Put it in, if it lies within the week and apart from what is there."""
        known = self.outages[device]
        inside = self._start_us + SETTLED_US <= outage.start and outage.end <= self._end_us - SETTLED_US
        if inside and device not in self.never and outage.start < outage.end and _is_free(known, outage):
            known.insert(bisect(known, outage.start, key=lambda o: o.start), outage)


def _is_free(known: Sequence[Outage], new: Outage) -> bool:
    return all(o.end + APART_US <= new.start or new.end + APART_US <= o.start for o in known)


def _way(own: int, draw: int) -> Way:
    ways: Iterable[tuple[Way, float]] = ((Way.HANG, 0.45), (Way.DEATH, 0.75), (Way.NETWORK, 0.85))
    share = chance.uniform(own, draw)
    return next((way for way, below in ways if share < below), Way.FAULT)

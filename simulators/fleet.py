"""The fleet: communities, kinds, devices and what is wrong with which, from a seed and a scenario."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pulse.clock import DAY_US, SECOND_US
from pulse.errors import BadInput
from pulse.ledger.model import EVER, FOREVER, Terms
from pulse.ledger.model import Device as LedgerDevice
from pulse.registry.model import Community, DeviceRecord, Kind, Planned
from simulators import chance
from simulators.faults import Behaviour, Fault, Unit
from simulators.places import PUBLIC_AREA, place
from simulators.records import SOURCES
from simulators.scenario import DEFAULT, CommunityEntry, FaultEntry, KindEntry, Scenario
from simulators.telling import Duty

COMMISSIONED_FROM_US = 1_598_918_400 * SECOND_US
"""2020-09-01: the hardware went in over the 90 days after it."""
_COMMISSIONING_DAYS = 90
_VENDORS = ("示例厂商甲", "示例厂商乙", "示例厂商丙", "示例厂商丁")


class Fleet(NamedTuple):
    """Everything that the registry is to hold, and what is wrong with which device (by id)."""

    seed: int
    communities: tuple[Community, ...]
    kinds: tuple[Kind, ...]
    planned: tuple[Planned, ...]
    devices: tuple[DeviceRecord, ...]
    faults: Mapping[str, Fault]
    beats_s: Mapping[str, tuple[float, float]]
    """Interval and timeout by kind, seconds."""
    duties: Mapping[str, tuple[Duty, ...]] = {}
    """What records a device tells (by id)."""

    @property
    def down(self) -> frozenset[str]:
        """The devices that are not running normally in the steady state."""
        return frozenset(device for device, fault in self.faults.items() if fault.is_down_for_good)

    @property
    def running(self) -> int:
        """How many devices run normally in the steady state: the numerator of the online rate."""
        return len(self.devices) - len(self.down)

    def unit(self, device: DeviceRecord) -> Unit:
        """What a plan needs to know of a device."""
        interval_s, timeout_s = self.beats_s[device.kind]
        return Unit(device_key(self.seed, device.id), _us(interval_s), _us(timeout_s))

    def scaled(self, time_scale: float) -> "Fleet":
        """The fleet for time that runs `time_scale` times as fast; how far clocks are off stays."""
        beats_s = {
            kind: (interval_s / time_scale, timeout_s / time_scale)
            for kind, (interval_s, timeout_s) in self.beats_s.items()
        }
        kinds = tuple(
            kind._replace(interval_s=beats_s[kind.id][0], timeout_s=beats_s[kind.id][1])
            for kind in self.kinds
        )
        devices = tuple(d._replace(max_lateness_s=d.max_lateness_s / time_scale) for d in self.devices)
        faults = {device: fault.scaled(time_scale) for device, fault in self.faults.items()}
        return self._replace(kinds=kinds, devices=devices, faults=faults, beats_s=beats_s)

    def ledger_devices(self) -> list[LedgerDevice]:
        """The devices as the ledger needs them, in the fleet's order."""
        return [
            LedgerDevice(
                device.id,
                device.community,
                device.kind,
                (
                    Terms(
                        EVER,
                        _us(self.beats_s[device.kind][1]),
                        _us(device.max_lateness_s),
                        device.clock_untrusted,
                    ),
                ),
                FOREVER if device.commissioned_us is None else device.commissioned_us,
            )
            for device in self.devices
        ]


def fleet(seed: int, devices: int | None = None, scenario: Scenario = DEFAULT) -> Fleet:
    """The fleet of a scenario; with another number of `devices` kinds and faults keep their proportions.

    Of every kind there is at least one device if there are as many devices as kinds, and at least one is
    down if any is in the scenario. Raises `BadInput` where the faults do not fit the fleet.
    """
    total = scenario.devices if devices is None else devices
    if not 1 <= total <= 50_000:
        raise BadInput(f"{total} devices; use 1 to 50000", where="devices")
    kinds = scenario.kinds
    least = 1 if total >= len(kinds) else 0
    per_kind = apportion(total, [kind.count for kind in kinds], least=least)
    planned: list[Planned] = []
    records: list[DeviceRecord] = []
    shares = [community.share for community in scenario.communities]
    for kind, quantity in zip(kinds, per_kind, strict=True):
        per_community = apportion(quantity, shares)
        for community, here in zip(scenario.communities, per_community, strict=True):
            planned.append(Planned(community.id, kind.id, here))
            records.extend(_record(seed, community, kind, number) for number in range(here))
    faults = _assigned(seed, scenario, records, total)
    return Fleet(
        seed,
        tuple(Community(c.id, c.name_zh, c.name_en) for c in scenario.communities),
        tuple(Kind(k.id, k.name_zh, k.name_en, k.interval_s, k.timeout_s) for k in kinds),
        tuple(planned),
        tuple(_declared(record, faults.get(record.id)) for record in records),
        faults,
        {k.id: (k.interval_s, k.timeout_s) for k in kinds},
        _duties(seed, scenario, records),
    )


def device_key(seed: int, device: str) -> int:
    """The key of everything that is chance about a device."""
    return chance.key(seed, "device", device)


def apportion(total: int, weights: Sequence[float], *, least: int = 0) -> list[int]:
    """`total` shared out by weight (largest remainder, Hamilton 1792), `least` of each at least."""
    free = total - least * len(weights)
    whole = sum(weights)
    quotas = [max(weight / whole * total - least, 0.0) for weight in weights]
    scale = free / sum(quotas) if sum(quotas) else 0.0
    exact = [quota * scale for quota in quotas]
    shares = [int(quota + 1e-9) for quota in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (shares[i] - exact[i], i))
    for position in by_remainder[: free - sum(shares)]:
        shares[position] += 1
    return [share + least for share in shares]


def half_up(numerator: int, denominator: int) -> int:
    """The quotient, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def _record(seed: int, community: CommunityEntry, kind: KindEntry, number: int) -> DeviceRecord:
    device = f"{community.prefix}-{kind.prefix}-{number + 1:03d}"
    own = device_key(seed, device)
    spot = place(kind, community.buildings, number)
    days = int(chance.uniform(own, 6) * _COMMISSIONING_DAYS)
    commissioned_us = COMMISSIONED_FROM_US + days * DAY_US
    return DeviceRecord(
        id=device,
        community=community.id,
        kind=kind.id,
        name_zh=f"{spot.zh}{kind.name_zh}",
        name_en=f"{spot.en} {kind.name_en.lower()}",
        building=spot.building,
        location=spot.location,
        tags=spot.tags,
        vendor=chance.pick(own, _VENDORS, 7),
        model=f"{kind.prefix.upper()}-{chance.pick(own, (100, 200, 220, 310), 8)}",
        serial=f"{kind.prefix[:1].upper()}20{chance.bits(own, 9) % 10**8:08d}",
        commissioned_us=commissioned_us,
        commissioned_recorded_us=commissioned_us,
    )


def _declared(record: DeviceRecord, fault: Fault | None) -> DeviceRecord:
    """The record as the registry has it: what is declared agrees with how the device behaves."""
    if fault is None:
        return record
    return record._replace(
        max_lateness_s=fault.max_lateness_us / SECOND_US,
        clock_untrusted=fault.behaviour is Behaviour.WRONG_CLOCK and fault.clock_declared,
    )


def _assigned(seed: int, scenario: Scenario, records: Sequence[DeviceRecord], total: int) -> dict[str, Fault]:
    faults: dict[str, Fault] = {}
    known = {record.id for record in records}
    for number, entry in enumerate(scenario.fault):
        for device in entry.devices or ():
            if device not in known:
                raise BadInput(
                    f"{device!r} is not in this fleet of {total} devices", where=f"fault[{number}].devices"
                )
            if device in faults:
                raise BadInput(f"{device!r} has a fault already", where=f"fault[{number}].devices")
            faults[device] = entry.fault()
    quantities = _quantities(scenario, total)
    for number, (entry, quantity) in enumerate(zip(scenario.fault, quantities, strict=True)):
        if not entry.devices:
            for device in _chosen(seed, entry, number, quantity, records, faults):
                faults[device] = entry.fault()
    return faults


def _duties(seed: int, scenario: Scenario, records: Sequence[DeviceRecord]) -> dict[str, tuple[Duty, ...]]:
    """Who tells what: of each community's devices of the kind a share, at least one."""
    found: dict[str, tuple[Duty, ...]] = {}
    for entry in scenario.tellings:
        source = SOURCES[entry.id]
        duty = Duty(entry.id, _us(entry.every_s), source.at_chance)
        for community in scenario.communities:
            able = [r.id for r in records if r.kind == source.kind and r.community == community.id]
            able.sort(key=lambda device: chance.key(seed, "tells", entry.id, device))
            for device in able[: max(1, half_up(round(1000 * entry.share) * len(able), 1000))]:
                found[device] = (*found.get(device, ()), duty)
    return found


def _quantities(scenario: Scenario, total: int) -> list[int]:
    """For how many devices each entry is, in a fleet of `total`; those of named devices stay as they are."""
    entries = scenario.fault
    quantities = [entry.quantity for entry in entries]
    if total == scenario.devices:
        return quantities
    for down in (True, False):
        group = [i for i, e in enumerate(entries) if e.fault().is_down_for_good == down and not e.devices]
        before = sum(quantities[i] for i in group)
        after = half_up(total * before, scenario.devices)
        if down and before:
            after = max(after, 1)
        for i, share in zip(group, apportion(after, [quantities[i] for i in group]), strict=True):
            quantities[i] = share
    return quantities


def _chosen(
    seed: int,
    entry: FaultEntry,
    number: int,
    quantity: int,
    records: Iterable[DeviceRecord],
    taken: Mapping[str, Fault],
) -> list[str]:
    free = [
        r
        for r in records
        if r.id not in taken
        and (entry.kind is None or r.kind == entry.kind)
        and (entry.community is None or r.community == entry.community)
    ]
    drawn = sorted(free, key=lambda r: chance.key(seed, "fault", number, r.id))
    if entry.same_building and drawn:
        groups: dict[tuple[str, str], list[DeviceRecord]] = {}
        for record in drawn:
            if record.building == PUBLIC_AREA:
                continue
            groups.setdefault((record.community, record.building), []).append(record)
        drawn = next((group for group in groups.values() if len(group) >= quantity), [])
    if len(drawn) < quantity:
        raise BadInput(
            f"{quantity} devices wanted for {entry.behaviour}, {len(drawn)} are left that fit",
            where=f"fault[{number}]",
        )
    return [record.id for record in drawn[:quantity]]


def _us(seconds: float) -> int:
    return round(seconds * SECOND_US)

"""An installation with a long past: devices that fail as devices do, written by the product's own writers."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.indicators.online_rate import OnlineRate
from pulse.ledger.model import FOREVER, Blind, Evidence, Maintenance, Run, Scope
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import coverage, intervals, maintenance, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database
from tests.bench.test_ledger import COMMUNITIES, KINDS
from tests.indicators.site import T0, HandClock

TIMEOUT_US = 180 * SECOND_US
MONTH_US = round(30.44 * DAY_US)
OUTAGES_A_MONTH = 3.0
TYPICAL_REPAIR_US = 40 * MINUTE_US
AT_ONCE = 2_000

SAID = (Evidence.BEAT, Evidence.OFFLINE, Evidence.FAULT)
"""How an outage begins: silence, a last will, or beats that tell of a fault."""


class Past(NamedTuple):
    """What is in the database: the time that it covers and how many rows of runs there are."""

    db: Database
    clock: HandClock
    start_us: int
    end_us: int
    runs: int

    def rate(self) -> OnlineRate:
        """The product's answers, with nothing remembered yet."""
        return OnlineRate(self.db, self.clock)


def past(folder: Path, devices: int, days: int, seed: int = 2020) -> Past:
    """`devices` over the `days` before `T0`: outages, blind intervals, maintenance, a tenth of them
    commissioned on the way and a hundredth retired."""
    chance = np.random.default_rng(seed)
    db = Database(f"sqlite:///{folder / 'pulse.db'}")
    db.open()
    start_us, end_us = T0 - days * DAY_US, T0
    records = [_record(number, start_us, end_us, chance) for number in range(devices)]
    with db.write() as connection:
        registry.put_communities(connection, [Community(name) for name in COMMUNITIES], start_us)
        kinds = [Kind(name, timeout_s=TIMEOUT_US / SECOND_US) for name in KINDS]
        registry.put_kinds(connection, kinds, start_us)
        registry.put_devices(connection, records, start_us)
        coverage.set_start(connection, start_us)
        for blind in _blinds(start_us, end_us, chance):
            coverage.record(connection, blind)
        for window in _windows(records, start_us, end_us, chance):
            maintenance.record(connection, window, "lens", "wang")
    written = 0
    for first in range(0, devices, AT_ONCE):
        rows = [
            (record.id, run)
            for record in records[first : first + AT_ONCE]
            for run in _runs(record, start_us, end_us, chance)
        ]
        written += len(rows)
        with db.write() as connection:
            intervals.put_runs(connection, rows)
    clock = HandClock()
    clock.now = end_us
    with db.write() as connection:
        coverage.set_watermark(connection, Watermark(end_us, True, end_us, "bench"))
    return Past(db, clock, start_us, end_us, written)


def _record(number: int, start_us: int, end_us: int, chance: np.random.Generator) -> DeviceRecord:
    began = start_us if chance.random() < 0.9 else int(chance.integers(start_us, end_us))
    retired = int(chance.integers(began + 1, end_us)) if chance.random() < 0.01 else None
    return DeviceRecord(
        f"dev-{number:06d}",
        COMMUNITIES[number % len(COMMUNITIES)],
        KINDS[number % len(KINDS)],
        timeout_s=None,
        commissioned_us=began,
        commissioned_recorded_us=began,
        retired_us=retired,
        retired_recorded_us=retired,
    )


def _blinds(start_us: int, end_us: int, chance: np.random.Generator) -> Iterator[Blind]:
    """Twice a month the collector hears nothing for some minutes, half as often one community."""
    for number in range(max((end_us - start_us) // MONTH_US, 1) * 3):
        at = int(chance.integers(start_us, end_us - HOUR_US))
        until = at + int(chance.integers(MINUTE_US, 40 * MINUTE_US))
        community = COMMUNITIES[number % len(COMMUNITIES)] if number % 3 == 0 else None
        yield Blind(at, until, until, scope=Scope(community=community), cause="no_connection")


def _windows(
    records: list[DeviceRecord], start_us: int, end_us: int, chance: np.random.Generator
) -> Iterator[Maintenance]:
    """A kind in a community once a month, and single devices: one in ten a year."""
    singles = len(records) * (end_us - start_us) // (3650 * DAY_US)
    for number in range((end_us - start_us) // MONTH_US + singles):
        at = int(chance.integers(start_us, end_us - 8 * HOUR_US))
        until = at + int(chance.integers(HOUR_US, 8 * HOUR_US))
        record = records[int(chance.integers(len(records)))]
        single = number < singles
        scope = Scope(device=record.id) if single else Scope(kind=record.kind, community=record.community)
        yield Maintenance(at, until, at - HOUR_US, scope=scope)


def _runs(record: DeviceRecord, start_us: int, end_us: int, chance: np.random.Generator) -> Iterator[Run]:
    """Alive but for its outages; one in three begins with a last will, one in three is a fault reported."""
    at = record.commissioned_us or start_us
    number = int(chance.poisson((end_us - at) * OUTAGES_A_MONTH / MONTH_US))
    begins = np.sort(chance.integers(at + 1, end_us, number))
    repairs = (TYPICAL_REPAIR_US * np.exp(1.35 * chance.standard_normal(number))).astype(np.int64)
    ways = chance.integers(0, len(SAID), number)
    for began, repair, way in zip(begins.tolist(), repairs.tolist(), ways.tolist(), strict=True):
        said, back = SAID[way], began + min(max(repair, 2 * TIMEOUT_US), 60 * HOUR_US)
        if began <= at:
            continue
        yield Run(at, began, Evidence.BEAT, at, at)
        if said is not Evidence.BEAT:
            yield Run(began, FOREVER if back >= end_us else back, said, began, began)
        at = back
        if at >= end_us:
            return
    yield Run(at, FOREVER, Evidence.BEAT, at, at)

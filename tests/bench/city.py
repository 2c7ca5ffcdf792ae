"""An installation of any number of devices that were all heard lately, as a collector would have left it."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from collector import recovery
from collector.recovery import Judged, Proof
from collector.spool import Spool
from pulse.batches import ABSENT, Ints, MessageColumns, Origin
from pulse.clock import SECOND_US, SystemClock
from pulse.ledger.engine import Engine
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Run
from pulse.messages import Channel, Message
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import coverage, registry
from pulse.stores.relational.coverage import Watermark
from tests.bench.test_ledger import COMMUNITIES, KINDS, TIMEOUT_S
from tests.collector.station import Station

AT_ONCE = 50_000


def name(device: int) -> str:
    """The id of a device by its number."""
    return f"dev-{device:07d}"


def place(device: int) -> tuple[str, str]:
    """Its community and kind."""
    return COMMUNITIES[device % len(COMMUNITIES)], KINDS[device % len(KINDS)]


class NoArchive:
    """Of a fleet that was heard in order nothing is ever asked."""

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        raise AssertionError(device)

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        raise AssertionError(device)


def register(station: Station, count: int) -> None:
    """Register and commission devices: a few as people do, the rest as copies of their rows."""
    with station.db.write() as connection:
        now_us = SystemClock().now_us()
        registry.put_communities(connection, [Community(one) for one in COMMUNITIES], now_us)
        registry.put_kinds(connection, [Kind(one, timeout_s=float(TIMEOUT_S)) for one in KINDS], now_us)
        models = len(COMMUNITIES) * len(KINDS)
        records = [DeviceRecord(name(n), *place(n), commissioned_us=0) for n in range(min(count, models))]
        registry.put_devices(connection, records, now_us)
        for table, own in (("devices", "id"), ("policies", "subject")):
            _copy_rows(connection, table, own, models, count)


def _copy_rows(connection: Connection, table: str, own: str, models: int, count: int) -> None:
    columns = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
    copied = ", ".join("printf('dev-%07d', n)" if column == own else column for column in columns)
    connection.exec_driver_sql(
        f"WITH RECURSIVE number(n) AS (SELECT {models} UNION ALL SELECT n + 1 FROM number"
        f" WHERE n + 1 < {count}) INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {copied} FROM number JOIN {table}"
        f" ON {own} = printf('dev-%07d', n % {models}) WHERE n < {count}"
    )


def beats(first: int, times: Ints, order: int) -> MessageColumns:
    """A beat without a time of its own of each device from `first` on, received at `times`."""
    count = len(times)
    zeros = np.zeros(count, dtype=np.int64)
    return MessageColumns(
        [Origin(name(n), *place(n), Channel.HEARTBEAT) for n in range(first, first + count)],
        {
            "origin": np.arange(count, dtype=np.int32),
            "evidence": zeros.astype(np.int8),
            "observed": times,
            "measured": np.full(count, ABSENT, dtype=np.int64),
            "retained": zeros.astype(bool),
            "queued": zeros.astype(bool),
            "identity": np.arange(order, order + count, dtype=np.int64),
            "seq": zeros,
            "numbered": zeros.astype(bool),
        },
        {},
        [],
        np.arange(order, order + count, dtype=np.int64),
    )


def engine_of(fleet: Fleet, now: int) -> Engine:
    """An engine that listened since ever."""
    return Engine(fleet, NoArchive(), start=0, blinds=(), maintenance=(), backlog_lateness=0, now=now)


def heard(engine: Engine, times: Ints, now: int) -> Iterator[tuple[str, Run]]:
    """Let an engine hear each device once, device n at `times[n]`; gives the runs to keep."""
    for first in range(0, len(times), AT_ONCE):
        some = times[first : first + AT_ONCE]
        yield from engine.apply(beats(first, some, first), int(some.max())).runs
    engine.sweep(now)


def settle(station: Station, times: Ints, now_us: int) -> None:
    """Write down what a collector knows that heard each device once, and stops at `now_us`."""
    with station.db.read() as connection:
        fleet, version = registry.ledger_fleet(connection), registry.version(connection)
    engine = engine_of(fleet, int(times.min()) - SECOND_US if len(times) else now_us)
    runs = heard(engine, times, now_us)
    with station.db.write() as connection:
        while rows := [
            (device, run.start, run.recorded, run.since, None, int(run.evidence), None)
            for (device, run), _ in zip(runs, range(AT_ONCE), strict=False)
        ]:
            connection.exec_driver_sql("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        coverage.set_start(connection, 0)
        coverage.set_watermark(
            connection, Watermark(now_us, listening=True, written_us=now_us, session="bench")
        )
        recovery.write_proof(connection, Proof(now_us, None))
    with contextlib.closing(Spool(station.settings.data_dir / "spool.db", SystemClock())) as spool:
        spool.save_snapshot(recovery.saved(engine, now_us, Judged(version, now_us)), spool.last_seq())


def installation(folder: Path, url: str) -> Station:
    """Without devices yet."""
    return Station(folder, url, timeout_s=float(TIMEOUT_S))

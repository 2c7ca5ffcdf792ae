"""The books as the relational database has them: what every answer about a moment or period starts from."""

import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from pulse.clock import SECOND_US, Clock
from pulse.errors import BadInput
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Evidence, Run, known_maintenance
from pulse.ledger.replay import Books, Known
from pulse.ledger.totals import RunColumns, Totals, totals
from pulse.stores.relational import coverage, intervals, maintenance, registry, spoolstatus
from pulse.stores.relational.database import Database
from pulse.stores.relational.spoolstatus import SpoolStatus

STALE_AFTER_US = 10 * SECOND_US
"""A watermark this old means that no collector is at work: from it on, nothing is known."""

_PATIENCE_S = 2.5
"""How long to wait for the collector to have written down the last moments that were asked for."""


class AsOf(NamedTuple):
    """Up to when the database is complete, and whether anyone is listening.

    `at_us` is the moment that "now" means. `blind_since_us` is set while the collector hears nothing of
    any device; `stale` while no collector writes at all.
    """

    at_us: int
    listening: bool
    stale: bool
    blind_since_us: int | None
    spool: SpoolStatus | None = None
    """The collector's spool if people have to look at it."""


class Opened(NamedTuple):
    """The books known at one time, with the runs of a stretch of time."""

    books: Books
    known: Known
    runs: Mapping[str, Sequence[Run]]


class _Registry:
    """The registered devices at one version of the registry; single ones come into being when asked for."""

    def __init__(self, version: int, fleet: Fleet) -> None:
        self.version = version
        self.fleet = fleet

    @cached_property
    def devices(self) -> list[Device]:
        return list(self.fleet.devices())


class Library:
    """Reads the books from the database; what changes rarely is kept until the registry's version grows."""

    def __init__(self, db: Database, clock: Clock, default_timeout_s: float) -> None:
        self._db = db
        self._clock = clock
        self._default_timeout_s = default_timeout_s
        self._lock = threading.Lock()
        self._registered: _Registry | None = None

    def as_of(self) -> AsOf:
        """What "now" means at this moment."""
        with self._db.read() as connection:
            return self._as_of(connection)

    def moment(self, at_us: int | None) -> tuple[int, AsOf]:
        """The moment that was asked for, "now" by default. Raises `BadInput` for the future.

        For one of the last seconds it waits until the collector has written that far.
        """
        as_of = self.as_of()
        if at_us is None:
            return as_of.at_us, as_of
        now = self._clock.now_us()
        if at_us > now + SECOND_US:
            raise BadInput("未来的时间没有答案 / lies in the future, which nobody knows")
        give_up = self._clock.monotonic_s() + _PATIENCE_S
        while at_us > as_of.at_us and not as_of.stale and self._clock.monotonic_s() < give_up:
            time.sleep(0.05)
            as_of = self.as_of()
        return at_us, as_of

    def knowledge(self, at_us: int, known_us: int | None, as_of: AsOf) -> int:
        """The knowledge time of an answer about times up to `at_us`: what is known now by default.

        Raises `BadInput` for one that lies before what is asked about, or in the future.
        """
        if known_us is None:
            return max(at_us, as_of.at_us)
        if at_us > known_us:
            raise BadInput("早于所问的时刻 / lies before the moment that is asked about", where="known_at")
        self.moment(known_us)
        return known_us

    def open(self, from_us: int, to_us: int, known_us: int, devices: Sequence[str] | None = None) -> Opened:
        """The books known at `known_us` with the runs that touch `[from_us, to_us)`."""
        with self._db.read() as connection:
            as_of = self._as_of(connection)
            books = self._books(connection, as_of, self._registry(connection).devices)
            found = intervals.runs(connection, from_us, to_us, known_us, devices)
            alive_until = _alive_until(connection, as_of)
        runs = {device: _ended(own, alive_until) for device, own in found.items()}
        return Opened(books, Known(books, known_us), runs)

    def totals(self, from_us: int, to_us: int, known_us: int) -> Totals:
        """What every device did in `[from_us, to_us)` as known at `known_us`; an instant is a microsecond."""
        with self._db.read() as connection:
            as_of = self._as_of(connection)
            fleet = self._registry(connection).fleet
            books = self._books(connection, as_of)
            found = intervals.run_columns(connection, from_us, to_us, known_us)
            alive_until = _alive_until(connection, as_of)
        goes_on = (found.end == FOREVER) & (found.evidence != Evidence.OFFLINE)
        end = np.where(goes_on, np.maximum(alive_until, found.start), found.end)
        device = np.repeat(fleet.positions(found.devices), found.counts)
        runs = RunColumns(device, found.start, end, found.evidence, found.since).take(device >= 0)
        blinds, windows = books.coverage_known(known_us), known_maintenance(books.maintenance, known_us)
        return totals(fleet, runs, blinds, windows, from_us, to_us, known_us)

    def last_runs(self, at_us: int, known_us: int, devices: Sequence[str] | None = None) -> dict[str, Run]:
        """The last run of every device that begins by `at_us`, reaching it or not."""
        with self._db.read() as connection:
            as_of = self._as_of(connection)
            found = intervals.last_runs(connection, at_us, known_us, devices)
            alive_until = _alive_until(connection, as_of)
        return {device: _ended([run], alive_until)[0] for device, run in found.items()}

    def _as_of(self, connection: Connection) -> AsOf:
        mark, now = coverage.watermark(connection), self._clock.now_us()
        if mark is None:
            return AsOf(now, listening=False, stale=True, blind_since_us=None)
        if now - mark.written_us >= STALE_AFTER_US:
            return AsOf(now, listening=False, stale=True, blind_since_us=mark.through_us)
        spool = spoolstatus.read(connection)
        open_blinds = [
            blind.start
            for _, blind in coverage.entries(connection)
            if blind.end == FOREVER and blind.revoked == FOREVER and not any(blind.scope)
        ]
        return AsOf(
            mark.through_us,
            mark.listening,
            stale=False,
            blind_since_us=min(open_blinds, default=None),
            spool=spool if spool is not None and spool.alarming else None,
        )

    def _books(self, connection: Connection, as_of: AsOf, devices: Sequence[Device] = ()) -> Books:
        start = coverage.start_us(connection)
        blinds = [blind for _, blind in coverage.entries(connection)]
        if as_of.stale and as_of.blind_since_us is not None:
            blinds.append(Blind(as_of.blind_since_us, FOREVER, as_of.blind_since_us, cause="collector_away"))
        return Books(
            devices,
            FOREVER if start is None else start,
            blinds,
            maintenance.entries(connection),
            ever=EVER,
            forever=FOREVER,
        )

    def _registry(self, connection: Connection) -> _Registry:
        version = registry.version(connection)
        with self._lock:
            if self._registered is not None and self._registered.version == version:
                return self._registered
        found = _Registry(
            version, registry.ledger_fleet(connection, default_timeout_s=self._default_timeout_s)
        )
        with self._lock:
            self._registered = found
        return found


def _alive_until(connection: Connection, as_of: AsOf) -> int:
    """An open run says "alive through the watermark"; behind a stale one that is all it says."""
    mark = coverage.watermark(connection) if as_of.stale else None
    return FOREVER if mark is None else mark.through_us


def _ended(runs: Sequence[Run], alive_until: int) -> list[Run]:
    return [
        run._replace(end=max(alive_until, run.start))
        if run.end == FOREVER and run.evidence is not Evidence.OFFLINE
        else run
        for run in runs
    ]

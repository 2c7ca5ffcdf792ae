"""The books as the relational database has them: what every answer about a moment or period starts from."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from pulse.clock import SECOND_US, Clock
from pulse.errors import BadInput
from pulse.ledger.columns import Ints
from pulse.ledger.fleet import Fleet
from pulse.ledger.late import late_times
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Evidence, Maintenance, Run, known_maintenance
from pulse.ledger.replay import Books, Known
from pulse.ledger.totals import RunColumns, Totals, in_service, totals
from pulse.stores.relational import coverage, intervals, maintenance, registry, spoolstatus
from pulse.stores.relational.coverage import Watermark
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


class Recorded(NamedTuple):
    """The books exactly as the database has them, and what tells how complete they are.

    `version` is the registry's, `waiting` how many late messages the ledger could not take in yet,
    `default_timeout_us` what was assumed for devices of which nothing else was agreed.
    """

    opened: Opened
    mark: Watermark | None
    version: int
    waiting: int
    default_timeout_us: int


class Consulted(NamedTuple):
    """The books without runs, for those who ask about few devices; `version` is the registry's.

    `known` may be asked about any device of `fleet`; `ended` makes runs of the database into what they say.
    """

    fleet: Fleet
    known: Known
    ended: Callable[[Sequence[Run]], Sequence[Run]]
    mark: Watermark | None
    version: int
    waiting: int
    default_timeout_us: int


class _Registry:
    """What people declared, at one version of the registry; single devices come into being when asked for."""

    def __init__(self, version: int, fleet: Fleet, windows: list[Maintenance]) -> None:
        self.version = version
        self.fleet = fleet
        self.windows = windows

    @cached_property
    def devices(self) -> list[Device]:
        return list(self.fleet.devices())


class Worked(NamedTuple):
    """What every device did, and how much of its online time became known late (`pulse.ledger.late`)."""

    totals: Totals
    late: Ints


class Library:
    """Reads the books from the database; what changes rarely is kept until the registry's version grows."""

    def __init__(self, db: Database, clock: Clock, default_timeout_s: float) -> None:
        self._db = db
        self._clock = clock
        self._default_timeout_s = default_timeout_s
        self._lock = threading.Lock()
        self._registered: dict[float, _Registry] = {}
        """By the default timeout."""

    @property
    def default_timeout_us(self) -> int:
        """The timeout, now, of devices of which nothing else was agreed."""
        return round(self._default_timeout_s * SECOND_US)

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

    def planned(self) -> dict[tuple[str, str], int]:
        """The planned quantities by community and kind."""
        with self._db.read() as connection:
            return registry.planned(connection)

    def open(self, from_us: int, to_us: int, known_us: int, devices: Sequence[str] | None = None) -> Opened:
        """The books known at `known_us` with the runs that touch `[from_us, to_us)`."""
        with self._db.read() as connection:
            as_of = self._as_of(connection)
            declared = self._registry(connection, self._default_timeout_s)
            books = self._books(connection, as_of, declared, declared.devices)
            found = intervals.runs(connection, from_us, to_us, known_us, devices)
            alive_until = _alive_until(connection, as_of)
        runs = {device: _ended(own, alive_until) for device, own in found.items()}
        return Opened(books, Known(books, known_us), runs)

    def recorded(
        self, from_us: int, at_us: int, known_us: int | None = None, default_timeout_us: int | None = None
    ) -> "Recorded":
        """The books as the database has them, with the runs that touch `[from_us, at_us]`.

        Nothing is laid over them: an open run goes on, whoever is at work now. Known by default is what is
        complete, which is what happened until the watermark. `default_timeout_us` is the timeout of
        devices of which nothing else was agreed, now's by default.
        """
        default_us = self.default_timeout_us if default_timeout_us is None else default_timeout_us
        with self._db.read() as connection:
            mark = coverage.watermark(connection)
            if known_us is None:
                known_us = at_us if mark is None else max(at_us, mark.through_us)
            start = coverage.start_us(connection)
            declared = self._registry(connection, default_us / SECOND_US)
            books = Books(
                declared.devices,
                FOREVER if start is None else start,
                [blind for _, blind in coverage.entries(connection)],
                declared.windows,
                ever=EVER,
                forever=FOREVER,
            )
            return Recorded(
                Opened(
                    books,
                    Known(books, known_us),
                    intervals.runs(connection, from_us, at_us + 1, known_us),
                ),
                mark,
                registry.version(connection),
                coverage.waiting(connection),
                default_us,
            )

    def consult(self, connection: Connection, known_us: int) -> Consulted:
        """The books for an answer: as `open`, a collector that is away laid over them."""
        as_of = self._as_of(connection)
        alive_until = _alive_until(connection, as_of)
        return self._consulted(
            connection, known_us, as_of, lambda runs: _ended(runs, alive_until), self.default_timeout_us
        )

    def consult_recorded(
        self, connection: Connection, known_us: int, default_timeout_us: int | None = None
    ) -> Consulted:
        """The books as the database has them: as `recorded`."""
        default_us = self.default_timeout_us if default_timeout_us is None else default_timeout_us
        return self._consulted(connection, known_us, _AS_RECORDED, lambda runs: runs, default_us)

    def _consulted(
        self,
        connection: Connection,
        known_us: int,
        as_of: AsOf,
        ended: Callable[[Sequence[Run]], Sequence[Run]],
        default_us: int,
    ) -> Consulted:
        declared = self._registry(connection, default_us / SECOND_US)
        return Consulted(
            declared.fleet,
            Known(self._books(connection, as_of, declared, ()), known_us),
            ended,
            coverage.watermark(connection),
            declared.version,
            coverage.waiting(connection),
            default_us,
        )

    def worked(self, from_us: int, to_us: int, known_us: int) -> Worked:
        """What every device did in `[from_us, to_us)` as known at `known_us`; an instant is a microsecond."""
        with self._db.read() as connection:
            as_of = self._as_of(connection)
            declared = self._registry(connection, self._default_timeout_s)
            # Single devices are not needed here, and a hundred thousand of them take a while to make.
            fleet, books = declared.fleet, self._books(connection, as_of, declared, ())
            found = intervals.run_columns(connection, from_us, to_us, known_us)
            alive_until = _alive_until(connection, as_of)
        goes_on = (found.end == FOREVER) & (found.evidence != Evidence.OFFLINE)
        end = np.where(goes_on, np.maximum(alive_until, found.start), found.end)
        device = np.repeat(fleet.positions(found.devices), found.counts)
        runs = RunColumns(device, found.start, end, found.evidence, found.since, found.recorded)
        runs = runs.take(device >= 0)
        blinds, windows = books.coverage_known(known_us), known_maintenance(books.maintenance, known_us)
        return Worked(
            totals(fleet, runs, blinds, windows, from_us, to_us, known_us),
            late_times(fleet, runs, *in_service(fleet, from_us, to_us, known_us)),
        )

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

    def _books(
        self, connection: Connection, as_of: AsOf, declared: _Registry, devices: Sequence[Device]
    ) -> Books:
        start = coverage.start_us(connection)
        blinds = [blind for _, blind in coverage.entries(connection)]
        if as_of.stale and as_of.blind_since_us is not None:
            blinds.append(Blind(as_of.blind_since_us, FOREVER, as_of.blind_since_us, cause="collector_away"))
        return Books(
            devices,
            FOREVER if start is None else start,
            blinds,
            declared.windows,
            ever=EVER,
            forever=FOREVER,
        )

    def _registry(self, connection: Connection, default_timeout_s: float) -> _Registry:
        version = registry.version(connection)
        with self._lock:
            kept = self._registered.get(default_timeout_s)
        if kept is not None and kept.version == version:
            return kept
        fleet = registry.ledger_fleet(connection, default_timeout_s=default_timeout_s)
        found = _Registry(version, fleet, maintenance.entries(connection))
        with self._lock:
            self._registered[default_timeout_s] = found
        return found


_AS_RECORDED = AsOf(0, listening=False, stale=False, blind_since_us=None)
"""Lays nothing over the books."""


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

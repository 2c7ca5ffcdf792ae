"""A database in a temporary folder, with time in the test's hand; seconds count from `T0`."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pulse.clock import SECOND_US
from pulse.indicators.online_rate import OnlineRate
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Evidence, Maintenance, Run, Scope, Terms
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import coverage, intervals, maintenance, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database

T0 = 1_795_392_000_000_000
"""2026-11-23T00:00:00Z."""

LONG_AGO = -86_400
EVERYTHING = Scope()


def us(seconds: float) -> int:
    """A moment, of seconds from `T0`."""
    return int(seconds) if seconds in {EVER, FOREVER} else T0 + round(seconds * SECOND_US)


class HandClock:
    """Tells the time that the test sets; waiting costs none."""

    def __init__(self) -> None:
        self.now = T0
        self.while_waiting: Callable[[], None] = lambda: None

    def now_us(self) -> int:
        return self.now

    def monotonic_s(self) -> float:
        self.while_waiting()
        return time.monotonic()


class Site:
    """What a collector leaves behind, put in by hand; times are seconds from `T0`."""

    def __init__(self, folder: Path, *, database_url: str | None = None) -> None:
        self.clock = HandClock()
        self.db = Database(database_url or f"sqlite:///{folder / 'pulse.db'}")
        self.db.open()
        self.rate = OnlineRate(self.db, self.clock)
        self._kinds: set[str] = set()
        self._communities: set[str] = set()

    def close(self) -> None:
        self.db.close()

    def register(self, *records: DeviceRecord, at: float = LONG_AGO) -> None:
        """Register devices, their communities and kinds; kinds have a timeout of 90 s."""
        with self.db.write() as connection:
            names = {r.community for r in records} - self._communities
            registry.put_communities(connection, [Community(name) for name in names], us(at))
            kinds = {r.kind for r in records} - self._kinds
            registry.put_kinds(connection, [Kind(name, timeout_s=90) for name in kinds], us(at))
            registry.put_devices(connection, records, us(at))
        self._communities |= names
        self._kinds |= kinds

    def devices(self) -> list[Device]:
        """The registry as the ledger has it."""
        with self.db.read() as connection:
            return registry.ledger_devices(connection)

    def start(self, at: float) -> None:
        """The collector's first start."""
        with self.db.write() as connection:
            coverage.set_start(connection, us(at))

    def hear(
        self,
        device: str,
        start: float,
        end: float = FOREVER,
        *,
        said: Evidence = Evidence.BEAT,
        since: float | None = None,
        recorded: float | None = None,
        superseded: float = FOREVER,
    ) -> None:
        """A run; `end` left out: it goes on."""
        run = Run(
            us(start),
            us(end),
            said,
            us(start if since is None else since),
            us(start if recorded is None else recorded),
            us(superseded),
        )
        self.put([(device, run)])

    def put(self, runs: Iterable[tuple[str, Run]]) -> None:
        with self.db.write() as connection:
            intervals.put_runs(connection, runs)

    def deaf(
        self, start: float, end: float = FOREVER, *, recorded: float | None = None, scope: Scope = EVERYTHING
    ) -> int:
        """A blind interval; gives its id."""
        entry = Blind(
            us(start), us(end), us(start if recorded is None else recorded), scope=scope, cause="test"
        )
        with self.db.write() as connection:
            return coverage.record(connection, entry)

    def maintain(self, start: float, end: float, *, recorded: float, scope: Scope = EVERYTHING) -> int:
        """A maintenance window; gives its id."""
        with self.db.write() as connection:
            window = Maintenance(us(start), us(end), us(recorded), scope=scope)
            return maintenance.record(connection, window, "lens", "wang")

    def mark(self, through: float, *, written: float | None = None, listening: bool = True) -> None:
        """The database is complete until then, and now is that time (or when that was written)."""
        self.clock.now = us(through if written is None else written)
        with self.db.write() as connection:
            mark = Watermark(us(through), listening, self.clock.now, "s1")
            coverage.set_watermark(connection, mark)


def camera(device: str = "cam-1", **members: object) -> DeviceRecord:
    """A camera in service since long ago, which may be silent for 90 s."""
    record = DeviceRecord(
        device,
        "xinjinglou",
        "camera",
        timeout_s=90,
        commissioned_us=us(LONG_AGO),
        commissioned_recorded_us=us(LONG_AGO),
    )
    return record._replace(**members)  # type: ignore[arg-type]


def states(answer: dict[str, object]) -> dict[str, object]:
    """The states of an answer that are not 0."""
    found = answer["states"]
    assert isinstance(found, dict)
    return {name: amount for name, amount in found.items() if amount}


def scaled(devices: Sequence[Device]) -> list[Device]:
    """Devices of a small random world (seconds from 0) as the registry tells them."""
    return [
        d._replace(
            terms=tuple(_scaled_terms(d.terms)),
            commissioned=us(LONG_AGO if d.commissioned == EVER else d.commissioned),
            retired=None if d.retired is None else us(d.retired),
            commissioned_recorded=us(d.commissioned_recorded),
            retired_recorded=EVER if d.retired is None else us(d.retired_recorded),
        )
        for d in devices
    ]


def _scaled_terms(terms: Sequence[Terms]) -> Iterator[Terms]:
    """Each change once: what says the same as before is no change."""
    before: Terms | None = None
    for one in terms:
        if before is None or one[1:] != before[1:]:
            yield Terms(
                us(one.since), one.timeout * SECOND_US, one.max_lateness * SECOND_US, one.clock_untrusted
            )
        before = one

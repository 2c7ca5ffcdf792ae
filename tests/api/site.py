"""A small installation with real stores, and time in the test's hand: 11 devices, 7 of 10 running.

`T0` is the collector's first start. Every device beats every 30 s and may be silent for 90 s. After ten
minutes: `cam-1` to `cam-4` and `lock-1` to `lock-3` are online, `cam-5` fell silent (last beat at 180 s,
offline from 270 s), `cam-6` reports a fault from 240 s on, `lock-4` said goodbye at 300 s, and `lock-5` is
registered but not commissioned.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from api.context import Context
from pulse import settings
from pulse.clock import SECOND_US
from pulse.indicators.online_rate import OnlineRate
from pulse.ledger.engine import Engine
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, Blind, Run
from pulse.ledger.outcome import Outcome
from pulse.messages import Channel, Evidence, Message
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import coverage, intervals, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database
from pulse.stores.sqlite import SqliteTelemetryStore

T0 = 1_795_392_000_000_000
"""2026-11-23T00:00:00Z."""
END = T0 + 600 * SECOND_US


UNLIMITED = "off"
"""Tests ask faster than people; those of the limits set their own."""


class HandClock:
    """Tells the time that the test sets."""

    def __init__(self, now_us: int) -> None:
        self.now = now_us

    def now_us(self) -> int:
        return self.now

    def monotonic_s(self) -> float:
        return self.now / SECOND_US


class NoArchive:
    """No message of these tests reaches behind its device's last run."""

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        raise AssertionError(f"{device}: a late message")

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        raise AssertionError(f"{device}: a late message")


def devices() -> list[DeviceRecord]:
    """The registry."""
    records = []
    for number in range(1, 7):
        community = "xinjinglou" if number <= 4 else "rongxinyuan"
        records.append(
            DeviceRecord(
                f"cam-{number}",
                community,
                "camera",
                f"{number}号楼摄像机",
                f"Camera of building {number}",
                f"{number}号楼",
                "东侧 east",
                tags=("出入口", "gate"),
                vendor="Acme",
                commissioned_us=T0,
                commissioned_recorded_us=EVER,
            )
        )
    locks = [
        DeviceRecord(
            f"lock-{number}",
            "xinjinglou",
            "smart_lock",
            f"{number}单元门锁" if number > 1 else "=cmd()门锁",
            f"Lock {number}",
            commissioned_us=T0 if number < 5 else None,
            commissioned_recorded_us=EVER if number < 5 else None,
        )
        for number in range(1, 6)
    ]
    return records + locks


class Site:
    """The installation; `context` is what the API gets."""

    def __init__(self, folder: Path, *, database_url: str | None = None) -> None:
        self.clock = HandClock(T0)
        self.db = Database(database_url or f"sqlite:///{folder / 'pulse.db'}")
        self.db.open()
        self.store = SqliteTelemetryStore(folder / "telemetry.db")
        self.store.open()
        self.rate = OnlineRate(self.db, self.clock)
        self.context = Context(
            settings.load(data_dir=folder, public_view=True, rate_limit=UNLIMITED),
            self.db,
            self.store,
            self.clock,
            self.rate,
        )
        self.blinds: list[Blind] = []
        self._order = 0
        with self.db.write() as connection:
            registry.put_communities(
                connection,
                [Community("xinjinglou", "新景楼", "Xinjinglou"), Community("rongxinyuan", "荣馨园", "")],
                T0,
            )
            registry.put_kinds(
                connection,
                [Kind("camera", "摄像机", "Camera", 30, 90), Kind("smart_lock", "门锁", "Lock", 30, 90)],
                T0,
            )
            registry.put_devices(connection, devices(), T0)
            coverage.set_start(connection, T0)
            listed = registry.ledger_devices(connection)
        self._engine = Engine(
            Fleet(listed),
            NoArchive(),
            start=T0,
            blinds=[],
            maintenance=[],
            backlog_lateness=604_800 * SECOND_US,
            now=T0,
        )
        self.mark(T0)

    def __enter__(self) -> "Site":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()
        self.db.close()

    def live(self, until_s: int = 600) -> None:
        """The ten minutes told above, or their beginning."""
        for second in range(0, until_s + 1, 30):
            at_us = T0 + second * SECOND_US
            beating = [f"cam-{n}" for n in range(1, 5)] + [f"lock-{n}" for n in range(1, 4)]
            beating += ["cam-5"] if second <= 180 else []
            beating += ["cam-6"] if second < 240 else []
            beating += ["lock-4"] if second < 300 else []
            heard = [self.message(device, at_us) for device in beating]
            if second >= 240:
                heard.append(self.message("cam-6", at_us, Evidence.FAULT, fault="lens"))
            if second == 300:
                heard.append(self.message("lock-4", at_us, Evidence.OFFLINE))
            self.hear(heard, at_us)
        self.mark(T0 + until_s * SECOND_US)

    def message(
        self, device: str, at_us: int, evidence: Evidence = Evidence.BEAT, fault: str | None = None
    ) -> Message:
        """A message received at `at_us`, measured 50 ms before."""
        self._order += 1
        return Message(
            device,
            "xinjinglou",
            "camera",
            evidence,
            Channel.STATUS if evidence is Evidence.OFFLINE else Channel.HEARTBEAT,
            at_us,
            None if evidence is Evidence.OFFLINE else at_us - 50_000,
            False,
            False,
            self._order,
            seq=self._order,
            fault=fault,
            metrics={"temperature": 21.5},
            order=self._order,
        )

    def hear(self, messages: Sequence[Message], now_us: int) -> None:
        """What a collector does with a batch."""
        self._keep(self._engine.sweep(now_us))
        self._keep(self._engine.apply(messages, now_us))
        self.store.write_messages(messages)

    def mark(self, through_us: int, *, listening: bool = True) -> None:
        """Let time pass: the database is complete through `through_us`, and now is 0.2 s later."""
        self._keep(self._engine.sweep(through_us))
        self.clock.now = through_us + 200_000
        with self.db.write() as connection:
            coverage.set_watermark(connection, Watermark(through_us, listening, self.clock.now, "s1"))

    def deaf(self, start_us: int, end_us: int, cause: str = "connection_lost") -> None:
        """The collector could hear nothing in `[start_us, end_us)`."""
        blind = Blind(start_us, end_us, end_us, cause=cause)
        with self.db.write() as connection:
            coverage.record(connection, blind)
        self.blinds.append(blind)
        self._keep(self._engine.set_coverage(T0, self.blinds, end_us))

    def _keep(self, outcome: Outcome) -> None:
        with self.db.write() as connection:
            intervals.put_runs(connection, outcome.runs)

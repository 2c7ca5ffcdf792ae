"""The real collector through random histories of faults: every answer is that of a replay, and none is a lie.

Clock and broker are scripted, everything else is the service itself: intake, spool, ledger, database, feeder
and telemetry store. A history that fails is named by its number, which is all that it takes to see it again:
`history(tmp_path, registered, NUMBER)`.
"""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pulse.clock import SECOND_US
from pulse.indicators.online_rate import OnlineRate
from pulse.ledger.evidence import Heard
from pulse.ledger.model import FOREVER, Evidence, Maintenance, Scope, State
from pulse.ledger.rates import Figures, at_instant
from pulse.ledger.replay import Books, ExactMessages, Known, Query, answer
from pulse.messages import Message
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.settings import Settings
from pulse.stores.relational import catalogue, coverage, maintenance, policies, registry
from pulse.stores.relational.database import Database
from pulse.stores.sqlite.store import SqliteTelemetryStore
from tests.collector.builders import NOON_US, SteppedClock
from tests.collector.outlet import Outlet
from tests.simulation.scripted import ScriptedBroker, Simulated

HISTORIES = 500
ONCE_FAILED = (134, 216)
"""A device that was registered, and one that was retired, between the last snapshot and a crash."""
PARTS = 10
TICK_S = 5
TIMEOUT_S = 60.0
TIMEOUTS_S = (50, 75, 120)
UNNOTICED_US = 35 * SECOND_US
"""A broker that stops for less is not noticed: the canary's interval, the patience with it, and a tick."""
TICKS = range(40, 90)
TELLERS = 2
"""Units that tell records: their clocks are trusted, at first, and they are registered from the beginning."""
PLACE = ("xinjinglou", "camera")
QUESTIONS = 12


class Unit:
    """A device of the field: what it says, and when it beat for all to hear (a buffer may be lost)."""

    def __init__(self, name: str, dice: random.Random, *, dated: bool = True, buffers: bool = False) -> None:
        self.name = name
        self.dated = dated
        self.buffers = buffers
        self.silent_until_us = 0
        self.seq = 0
        self.alive: list[int] = []
        self.buffer: list[bytes] = []
        self._offset_us = dice.randrange(2 * TICK_S * SECOND_US)

    def is_due(self, now_us: int) -> bool:
        return (
            now_us >= self.silent_until_us and (now_us + self._offset_us) // SECOND_US % (2 * TICK_S) < TICK_S
        )

    def beat(self, now_us: int, status: str) -> bytes:
        self.seq += 1
        body: dict[str, object] = {"seq": self.seq, "status": status}
        if self.dated:
            body["ts"] = now_us / SECOND_US
        return json.dumps(body).encode()

    @property
    def topic(self) -> bytes:
        return f"community/{PLACE[0]}/{PLACE[1]}/{self.name}/heartbeat".encode()


class History:
    """One history, all of it from the number."""

    def __init__(self, folder: Path, number: int) -> None:
        self.dice = random.Random(number)
        self.folder = folder
        self.clock = SteppedClock(NOON_US)
        self.settings = Settings(_env_file=None, data_dir=folder)  # type: ignore[call-arg]
        self.db = Database(self.settings.relational_url())
        self.db.open()
        self.store = SqliteTelemetryStore(folder / "telemetry.db")
        self.broker = ScriptedBroker()
        self.units = [
            Unit("cam-1", self.dice),
            Unit("cam-2", self.dice),
            Unit("undated", self.dice, dated=False),
            Unit("buffering", self.dice, buffers=True),
            Unit("distrusted", self.dice),
        ]
        self.outlet = Outlet(self.db, self.store)
        self.told = 0
        self.record_dice = random.Random(number + 1_000_000)
        self.wants_connection = True
        self.done: list[str] = []
        self.windows: list[int] = []
        self.service = self._service()
        self.service.connect()

    def _service(self) -> Simulated:
        return Simulated(self.settings, self.db, self.store, self.clock, self.broker)

    # -- time ----------------------------------------------------------------------------------------

    def run(self) -> None:
        for _ in range(self.dice.choice(TICKS)):
            self.tick()
            if self.dice.random() < 0.05:
                self.compare()
        self.calm()
        self.compare()
        self.nothing_is_lost_or_doubled()
        self.no_record_is_lost_or_doubled()
        self.nobody_alive_was_said_to_be_offline()

    def tick(self) -> None:
        self.clock.pass_s(TICK_S)
        if self.dice.random() < 0.25:
            action = self.dice.choice(self.ACTIONS)
            self.done.append(f"{(self.now_us - NOON_US) // SECOND_US} s: {action.__name__}")
            action(self)
        for unit in self.units:
            if unit.is_due(self.now_us):
                payload = unit.beat(self.now_us, "fault" if self.dice.random() < 0.05 else "ok")
                if unit.buffers and self.dice.random() < 0.4:
                    unit.buffer.append(payload)
                else:
                    unit.alive.append(self.now_us)
                    self.broker.publish(unit.topic, payload)
        for unit in self.units[:TELLERS]:
            if self.record_dice.random() < 0.3:
                self.told += 1
                body = {"ts": self.now_us / SECOND_US, "recording": True, "bitrate_kbps": self.told}
                topic = unit.topic.replace(b"/heartbeat", b"/data/video_status")
                self.broker.publish(topic, json.dumps(body).encode())
        service = self.service
        if self.wants_connection and self.dice.random() < 0.7:
            service.connect()
        service.link.deliver(service.intake)
        service.turn()
        service.keep(hurry=self.dice.random() < 0.2)
        if self.dice.random() < 0.7:
            service.feed()
        if self.record_dice.random() < 0.5:
            self.outlet.look()

    def calm(self) -> None:
        """Everything works again, long enough for all that can be known to be known."""
        self.broker.up, self.broker.hung, self.wants_connection = True, False, True
        for unit in self.units:
            self._deliver_buffer(unit)
        for _ in range(20):
            self.clock.pass_s(TICK_S)
            self.service.connect()
            self.service.link.deliver(self.service.intake)
            self.service.turn()
            self.service.keep(hurry=True)
        self.service.feed()

    def settle(self) -> None:
        """Let the ledger notice what people changed, and judge what waited for the telemetry store."""
        for _ in range(2):
            self.service.feed()
            self.clock.pass_s(1.1)
            self.service.turn()
            self.service.keep(hurry=True)
        self.service.feed()

    @property
    def now_us(self) -> int:
        return self.clock.now_us()

    # -- what happens --------------------------------------------------------------------------------

    def cut(self) -> None:
        self.wants_connection = False
        self.service.disconnect()

    def mend(self) -> None:
        self.wants_connection = True

    def broker_dies(self) -> None:
        self.broker.die()
        self.service.disconnect()

    def broker_comes_back(self) -> None:
        self.broker.up = True

    def broker_hangs(self) -> None:
        self.broker.hung = True

    def broker_answers(self) -> None:
        self.broker.hung = False

    def restart(self) -> None:
        self.service.stop()
        self.clock.pass_s(self.dice.choice([0, 1, 20]))
        self.service = self._service()

    def crash(self) -> None:
        self.service.crash()
        self.clock.pass_s(self.dice.choice([0, 1, 20]))
        self.service = self._service()

    def crash_without_snapshot(self) -> None:
        self.service.crash()
        (self.folder / "spool.snapshot").unlink(missing_ok=True)
        self.service = self._service()

    def a_device_falls_silent(self) -> None:
        unit = self.dice.choice(self.units)
        unit.silent_until_us = self.now_us + self.dice.choice([60, 120, 200]) * SECOND_US

    def a_buffer_is_delivered(self) -> None:
        for unit in self.units:
            self._deliver_buffer(unit)

    def _deliver_buffer(self, unit: Unit) -> None:
        for payload in unit.buffer:
            self.broker.publish(unit.topic, payload)
        if self.broker.up:
            unit.buffer.clear()

    def a_device_says_goodbye(self) -> None:
        unit = self.dice.choice(self.units)
        unit.silent_until_us = self.now_us + 60 * SECOND_US
        self.broker.publish(unit.topic.replace(b"/heartbeat", b"/status"), b"offline")

    def maintenance_is_recorded(self) -> None:
        device = self.dice.choice([None, "cam-1", "undated"])
        start_us = self.now_us + self.dice.choice([-120, -30, 0, 30]) * SECOND_US
        end_us = start_us + self.dice.choice([20, 60, 200]) * SECOND_US
        window = Maintenance(start_us, end_us, self.now_us, FOREVER, Scope(device, PLACE[1], PLACE[0]))
        with self.db.write() as connection:
            self.windows.append(maintenance.record(connection, window, "simulated", "mei"))

    def maintenance_is_cancelled(self) -> None:
        if self.windows:
            with self.db.write() as connection:
                maintenance.cancel(connection, self.dice.choice(self.windows), self.now_us)

    def a_policy_changes(self) -> None:
        device = self.dice.choice(["cam-1", "cam-2", "undated"])
        said = {"timeout_us": self.dice.choice(TIMEOUTS_S) * SECOND_US}
        with self.db.write() as connection:
            policies.declare(connection, policies.DEVICE, device, said, self.now_us)

    def a_clock_is_distrusted_or_trusted(self) -> None:
        with self.db.write() as connection:
            policies.declare(
                connection,
                policies.DEVICE,
                "cam-2",
                {"clock_untrusted": self.dice.random() < 0.5},
                self.now_us,
            )

    def a_device_is_registered(self) -> None:
        name = f"new-{len(self.units)}"
        self.units.append(Unit(name, self.dice))
        ago_us = self.dice.choice([0, 60, 3600]) * SECOND_US
        with self.db.write() as connection:
            record = DeviceRecord(name, *PLACE, commissioned_us=self.now_us - ago_us)
            registry.put_devices(connection, [record], self.now_us)

    def a_device_is_retired(self) -> None:
        with self.db.write() as connection:
            found = registry.device(connection, self.dice.choice(self.units).name)
            if found is not None and found.retired_us is None:
                registry.put_devices(connection, [found._replace(retired_us=self.now_us)], self.now_us)

    ACTIONS: tuple[Callable[["History"], None], ...] = (
        cut, mend, mend, broker_dies, broker_comes_back, broker_comes_back, broker_hangs, broker_answers,
        broker_answers, restart, crash, crash_without_snapshot, a_device_falls_silent, a_buffer_is_delivered,
        a_device_says_goodbye, maintenance_is_recorded, maintenance_is_cancelled, a_policy_changes,
        a_clock_is_distrusted_or_trusted, a_device_is_registered, a_device_is_retired,
    )  # fmt: skip

    # -- what has to hold ----------------------------------------------------------------------------

    def read(self) -> tuple[Books, list[Message], int]:
        """What is stored, and until when the database is complete."""
        with self.db.read() as connection:
            mark = coverage.watermark(connection)
            start_us = coverage.start_us(connection)
            books = Books(
                registry.ledger_devices(connection),
                FOREVER if start_us is None else start_us,
                [blind for _, blind in coverage.entries(connection)],
                maintenance.entries(connection),
                round(self.settings.backlog_lateness_s * SECOND_US),
            )
        return books, list(self.store.read_messages(0, FOREVER // 4)), 0 if mark is None else mark.through_us

    def compare(self) -> None:
        """Every answer is that of a replay of the stored messages, whenever known."""
        self.settle()
        books, messages, through_us = self.read()
        if not through_us:
            return
        source = replayed(books, messages)
        rate = OnlineRate(self.db, self.clock)
        queries = [Query(through_us, None, through_us)]
        for _ in range(QUESTIONS):
            start, end, known = sorted(self.dice.randint(NOON_US, through_us) for _ in range(3))
            queries.append(Query(start, self.dice.choice([None, max(end, start + 1)]), max(known, start + 1)))
        expected = answer(books, source, queries)
        for query, figures in zip(queries, expected, strict=True):
            assert rate.figures(query.start, query.end, query.known_at).all == figures, query
        live = Figures()
        for own in self.service.keeper._engine.counts().values():
            live.add(own)
        assert live == expected[0]

    def nothing_is_lost_or_doubled(self) -> None:
        """What was acknowledged is stored, once."""
        _, messages, _ = self.read()
        stored = Counter((m.device, m.seq) for m in messages if m.seq is not None)
        assert not [key for key, count in stored.items() if count > 1]
        for topic, payload in self.broker.acknowledged:
            if topic.endswith(b"/heartbeat"):
                assert (topic.split(b"/")[3].decode(), json.loads(payload)["seq"]) in stored

    def no_record_is_lost_or_doubled(self) -> None:
        """What was acknowledged is stored, once, and whoever reads up to the mark was given it, once."""
        stored = self.store.read_records(0, FOREVER, since_us=0, limit=FOREVER)
        numbers = Counter(json.loads(record.body)["bitrate_kbps"] for record in stored)
        assert not [number for number, count in numbers.items() if count > 1]
        for topic, payload in self.broker.acknowledged:
            if b"/data/" in topic:
                assert json.loads(payload)["bitrate_kbps"] in numbers
        self.outlet.look()
        assert self.outlet.read == stored

    def nobody_alive_was_said_to_be_offline(self) -> None:
        """Of a device that truly beat within its timeout the product may say "unknown", never "offline"."""
        books, messages, through_us = self.read()
        runs, known = replayed(books, messages).runs(through_us), Known(books, through_us)
        goodbyes = {m.device for m in messages if m.evidence is Evidence.OFFLINE}
        for position, device in enumerate(books.devices):
            unit = next(unit for unit in self.units if unit.name == device.id)
            if device.id in goodbyes:
                continue
            shortest_us = min(terms.timeout for terms in device.terms)
            listening, windows = known.listening(device), known.maintenance(device)
            # A beat is received some microseconds after the instant at which it was sent.
            for at_us in range(NOON_US + SECOND_US, through_us, TICK_S * SECOND_US):
                states = at_instant(device, runs.get(position, ()), listening, windows, at_us, through_us)
                if states[0] is State.OFFLINE:
                    beaten = [b for b in unit.alive if at_us - shortest_us < b <= at_us - UNNOTICED_US]
                    assert not beaten, (device.id, (at_us - NOON_US) / SECOND_US)


def replayed(books: Books, messages: list[Message]) -> ExactMessages:
    position = {device.id: place for place, device in enumerate(books.devices)}
    heard = [
        (
            position[m.device],
            Heard(m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order),
        )
        for m in messages
        if m.device in position
    ]
    return ExactMessages(books, heard)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the devices, to be copied: making one takes longer than a history."""
    folder = tmp_path_factory.mktemp("registered")
    settings = Settings(_env_file=None, data_dir=folder)  # type: ignore[call-arg]
    db = Database(settings.relational_url())
    db.open()
    with db.write() as connection:
        registry.put_communities(connection, [Community("xinjinglou", "新景楼", "Xinjinglou")], NOON_US)
        registry.put_kinds(connection, [Kind("camera", "摄像机", "Camera", 10.0, TIMEOUT_S)], NOON_US)
        catalogue.seed(connection, NOON_US)
        long_ago = {"commissioned_us": 0}
        registry.put_devices(
            connection,
            [
                DeviceRecord("cam-1", *PLACE, **long_ago),  # type: ignore[arg-type]
                DeviceRecord("cam-2", *PLACE, **long_ago),  # type: ignore[arg-type]
                DeviceRecord("undated", *PLACE, **long_ago),  # type: ignore[arg-type]
                DeviceRecord("buffering", *PLACE, max_lateness_s=600, **long_ago),  # type: ignore[arg-type]
                DeviceRecord("distrusted", *PLACE, clock_untrusted=True, **long_ago),  # type: ignore[arg-type]
            ],
            NOON_US,
        )
    db.close()
    return folder


def history(folder: Path, registered: Path, number: int) -> None:
    """Live through one history; a failure says what happened in it."""
    own = folder / str(number)
    shutil.copytree(registered, own)
    one = History(own, number)
    try:
        one.run()
    except BaseException as error:
        error.add_note(f"history {number}:\n  " + "\n  ".join(one.done))
        raise
    finally:
        one.store.close()
        one.db.close()
    shutil.rmtree(own)


def test_some_histories(tmp_path: Path, registered: Path) -> None:
    for number in (*ONCE_FAILED, *range(HISTORIES, HISTORIES + 8)):
        history(tmp_path, registered, number)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_five_hundred_histories(tmp_path: Path, registered: Path, part: int) -> None:
    for number in range(part, HISTORIES, PARTS):
        history(tmp_path, registered, number)

"""What the collector survives that only a test inside its process can do: clocks that jump, moody stores.

The faults that can be done to a real process from outside are in tests/faults.
"""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector import coverage as causes
from collector import keeper
from collector.archive import Archive
from collector.service import Collector
from pulse.clock import SystemClock
from pulse.errors import Conflict, StoreRejected, StoreUnavailable
from pulse.indicators.books import Library
from pulse.indicators.publication import Publication
from pulse.indicators.verifying import Recomputed, recompute
from pulse.ledger.evidence import Heard, pieces
from pulse.ledger.model import FOREVER, Evidence
from pulse.ledger.runs import runs_known
from pulse.messages import Message
from pulse.settings import Broker
from pulse.stores.base import Written
from pulse.stores.relational import coverage, published, registry
from tests.collector.scraping import own
from tests.collector.station import TIMEOUT_S, Field, Station, field, topic
from tests.collector.test_mqtt import eventually
from tests.servers import RunningBroker, mosquitto

SECOND_US = 1_000_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
def station(tmp_path: Path, broker: RunningBroker) -> Station:
    station = Station(tmp_path / "data", broker.url)
    station.register("cam-1", "cam-2")
    return station


class Moody:
    """A telemetry store that can be away, or refuse what it is told to."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.away = False
        self.refused_seq: int | None = None
        self.rejected_seq: int | None = None

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreUnavailable("away for this test")
        return getattr(self._store, name)

    def write_messages(self, messages: Sequence[Message]) -> Written:
        if self.away:
            raise StoreUnavailable("away for this test")
        if any(m.seq == self.rejected_seq for m in messages if m.seq is not None):
            raise StoreRejected("not as a whole")
        good = [m for m in messages if m.seq is None or m.seq != self.refused_seq]
        bad = tuple((i, "never") for i, m in enumerate(messages) if m not in good)
        written: Written = self._store.write_messages(good)
        return Written(written.stored, bad, written.known)


def moody(station: Station) -> Moody:
    store = Moody(station.store)
    station.store = store
    return store


def seqs(station: Station, device: str) -> list[int]:
    return sorted(m.seq or 0 for m in station.store.read_messages(0, FOREVER // 4, device=device))


def timed(station: Station, seq: int, ago_s: float = 0.0) -> bytes:
    return json.dumps({"ts": station.clock.now_us() / SECOND_US - ago_s, "seq": seq}).encode()


def assert_replay_agrees(station: Station, *devices: str) -> None:
    """The runs in the database are those that the stored messages give (rule 12)."""
    with station.db.read() as connection:
        known = {device.id: device for device in registry.ledger_devices(connection)}
    backlog_us = round(station.settings.backlog_lateness_s * SECOND_US)
    for name in devices:
        device = known[name]
        evidence = [
            piece
            for m in station.store.read_messages(0, FOREVER // 4, device=name)
            for piece in pieces(
                device,
                Heard(m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order),
                backlog_us,
            )
        ]
        replayed = [run[:3] for run in runs_known(device, evidence, FOREVER // 2)]
        live: list[tuple[int, int, Evidence]] = []
        for run in station.runs(name):
            is_open = run.end == FOREVER and run.evidence is not Evidence.OFFLINE
            end = replayed[-1][1] if is_open else run.end
            if live and live[-1][1] == run.start and live[-1][2] is run.evidence is not Evidence.OFFLINE:
                live[-1] = (live[-1][0], end, run.evidence)
            else:
                live.append((run.start, end, run.evidence))
        assert live == replayed


@contextmanager
def chatter(devices: Field, names: Sequence[str], station: Station, every_s: float) -> Iterator[list[int]]:
    """Beats of all devices again and again, each with the next sequence number; gives those sent."""
    sent: list[int] = []
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            devices.beats(names, timed(station, len(sent) + 1))
            sent.append(len(sent) + 1)
            stop.wait(every_s)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def waiting(station: Station) -> int:
    with station.db.read() as connection:
        return coverage.waiting(connection)


def watermark(station: Station) -> coverage.Watermark:
    with station.db.read() as connection:
        found = coverage.watermark(connection)
    assert found is not None
    return found


def published_now(station: Station) -> None:
    publication = Publication(Library(station.db, SystemClock(), TIMEOUT_S))
    with station.db.read() as connection:
        mark = coverage.watermark(connection)
    assert mark is not None
    value = publication.draft(mark.through_us).value
    with station.db.write() as connection:
        published.append(connection, value)


def recomputed(station: Station) -> list[Recomputed]:
    publication = Publication(Library(station.db, SystemClock(), TIMEOUT_S))
    with station.db.read() as connection:
        return list(recompute([publication], published.walk(connection)))


def test_late_messages_wait_for_the_store_that_knows_the_past(tmp_path: Path, broker: RunningBroker) -> None:
    station = Station(tmp_path / "late", broker.url)
    station.register("cam-1", max_lateness_s=3600.0)
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        for seq, ago_s in ((1, 1000), (2, 500)):
            devices.beat("cam-1", timed(station, seq, ago_s))
        eventually(lambda: len(station.runs("cam-1")) == 3, "a run for each time")
    store = moody(station)
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening again")
        store.away = True
        before = len(station.runs("cam-1"))
        eventually(lambda: station.state("cam-1") != "online", "silence", 10)
        devices.beat("cam-1", timed(station, 3, 700))
        devices.beat("cam-2")
        eventually(lambda: waiting(station) == 1, "one waiting", 10)
        devices.beat("cam-1", timed(station, 4))
        eventually(lambda: len(station.runs("cam-1")) > before, "the beat in time", 10)
        eventually(lambda: station.through_us() > station.runs("cam-1")[-1].start, "all written", 10)
        published_now(station)
        store.away = False
        eventually(lambda: len(station.runs("cam-1")) >= before + 2, "the late beat", 30)
        eventually(lambda: seqs(station, "cam-1") == [1, 2, 3, 4], "all in the store", 30)
        eventually(lambda: waiting(station) == 0, "nothing waiting")
        published_now(station)
    # What was published meanwhile did not know of it, and that is no tampering.
    first, second = recomputed(station)
    assert (first.outcome, [reason.slug for reason in first.reasons]) == ("explained", ["late_messages"])
    assert second.outcome == "same"
    assert_replay_agrees(station, "cam-1")


def test_of_a_backlog_the_ledger_reads_no_more_than_the_store_lets_it(
    tmp_path: Path, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the store lies in the spool; meanwhile the collector says that it is at work."""
    monkeypatch.setattr(keeper, "MOST_HELD", 20)
    monkeypatch.setattr(keeper, "STEP_MESSAGES", 10)
    monkeypatch.setitem(Archive.__init__.__kwdefaults__, "window_messages", 5)  # type: ignore[arg-type]
    station = Station(tmp_path / "behind", broker.url, batch_max_messages=10)
    station.register("cam-1")
    with station.collecting():
        eventually(station.listening, "listening")
    store = moody(station)
    store.away = True
    with field(station.url) as devices:
        for seq in range(200):
            devices.beat("cam-1", timed(station, seq, 201.0 - seq))
    with station.collecting() as collector:
        eventually(lambda: collector.spool.depth().messages == 200, "the backlog in the spool")
        eventually(lambda: waiting(station) >= 20, "enough waiting")
        written_us = watermark(station).written_us
        eventually(lambda: watermark(station).written_us > written_us, "a sign of life")
        assert 20 <= waiting(station) <= 40
        assert not watermark(station).listening
        store.away = False
        eventually(station.listening, "listening again", 30)
        eventually(lambda: waiting(station) == 0, "nothing waiting", 30)
    assert_replay_agrees(station, "cam-1")


def test_fault_18_a_message_that_the_store_refuses_holds_up_nothing(station: Station) -> None:
    store = moody(station)
    store.refused_seq = 2
    store.rejected_seq = 4
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        for seq in range(1, 7):
            devices.beat("cam-1", timed(station, seq))
        eventually(lambda: seqs(station, "cam-1") == [1, 3, 5, 6], "the others in the store")
        assert station.quarantined() == {"refused_by_store": 2}


def test_a_database_that_is_away_only_delays(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    away = threading.Event()
    write = station.db.write

    @contextmanager
    def writing() -> Iterator[Any]:
        if away.is_set():
            raise StoreUnavailable("away for this test")
        with write() as connection:
            yield connection

    monkeypatch.setattr(station.db, "write", writing)
    with station.collecting() as collector, field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1", timed(station, 1))
        eventually(lambda: station.state("cam-1") == "online", "online")
        away.set()
        through_us = station.through_us()
        unregistered = own()["pulse_messages_unregistered_total"]
        devices.beat("stranger")
        for seq in range(2, 5):
            devices.beat("cam-1", timed(station, seq))
            devices.beat("cam-2", timed(station, seq))
        eventually(lambda: seqs(station, "cam-2") == [2, 3, 4], "the telemetry store goes on")
        assert station.through_us() == through_us
        away.clear()
        eventually(lambda: station.state("cam-2") in {"online", "offline"}, "the ledger caught up", 15)
        eventually(lambda: station.state("cam-2") == "offline", "silence noticed", 15)
        assert collector.link.connections == 1
        with station.db.read() as connection:
            assert [found.device for found in registry.inbox(connection)] == ["stranger"]
        assert own()["pulse_messages_unregistered_total"] == unregistered + 1
    assert_replay_agrees(station, "cam-1", "cam-2")


def test_a_full_spool_acknowledges_nothing_and_loses_nothing(station: Station) -> None:
    with station.collecting() as collector, field(station.url) as devices:
        eventually(station.listening, "listening")
        room = collector.spool.max_bytes
        collector.spool.max_bytes = 0
        devices.beat("cam-1", timed(station, 1))
        devices.beat("cam-1", timed(station, 2))
        eventually(lambda: not station.listening(), "blindness")
        assert [b.cause for b in station.blinds()] == [causes.SPOOL_STALLED]
        collector.spool.max_bytes = room
        eventually(station.listening, "listening again", 30)
        eventually(lambda: seqs(station, "cam-1") == [1, 2], "both messages")
        assert [b.revoked < FOREVER for b in station.blinds()] == [True]


def test_a_broker_that_freezes_is_noticed_by_its_canary(
    tmp_path: Path, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.intake.LEAST_PATIENCE_S", 1.5)
    station = Station(tmp_path / "frozen", broker.url)
    with station.collecting():
        eventually(station.listening, "listening")
        broker.pause()
        eventually(lambda: not station.listening(), "deafness", 10)
        assert station.blinds()[0].cause == causes.CANARY_OVERDUE
        broker.resume()
        eventually(station.listening, "listening again", 30)
        assert all(b.revoked < FOREVER for b in station.blinds())


class Jumping:
    """The machine's clock, which a test can set."""

    def __init__(self) -> None:
        self._offset_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000
        self._host_us = self._offset_us

    def now_us(self) -> int:
        return self._offset_us + time.monotonic_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def jump(self, seconds: float) -> None:
        self._host_us += round(seconds * SECOND_US)

    def drift_us(self) -> int:
        return self._host_us - self._offset_us

    def resync(self) -> None:
        self._offset_us = self._host_us


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_fault_10_a_jump_of_the_hosts_clock_makes_nobody_offline(station: Station, seconds: int) -> None:
    clock = Jumping()
    with station.collecting(clock=clock), field(station.url) as devices:
        eventually(station.listening, "listening")
        with chatter(devices, ["cam-1"], station, 0.2) as sent:
            eventually(lambda: station.state("cam-1") == "online", "online")
            clock.jump(seconds)
            enough = len(sent) + 15
            eventually(lambda: len(sent) > enough, "beats after the jump")
            eventually(lambda: station.state("cam-1") == "online", "online after the jump")
        told = station.transitions("cam-1")
        assert "deadline_passed" not in [cause for _, _, cause in told]
        if seconds > 0:
            assert "clock_step" in [b.cause for b in station.blinds()]
            assert station.through_us() > time.time_ns() // 1000 + 3_000 * SECOND_US


def test_a_start_with_a_clock_behind_what_was_written_goes_on_from_there(station: Station) -> None:
    ahead = Jumping()
    ahead.jump(600)
    ahead.resync()
    with station.collecting(clock=ahead), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1")
        eventually(lambda: station.state("cam-1") == "online", "online")
    written_us = station.through_us()
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening again")
        assert station.through_us() >= written_us
        devices.beat("cam-1")
        eventually(lambda: station.through_us() > written_us + SECOND_US, "time going on")
        assert station.state("cam-1") == "online"


def test_a_lost_spool_is_rebuilt_from_what_is_stored(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1", timed(station, 1))
        devices.say(topic("cam-2", "status"), b"offline")
        eventually(lambda: station.state("cam-2") == "offline", "offline")
        eventually(lambda: station.state("cam-1") == "online", "online")
        eventually(lambda: seqs(station, "cam-1") == [1], "stored")
    for path in station.settings.data_dir.glob("spool.db*"):
        path.unlink()
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening again")
        devices.beat("cam-1", timed(station, 2))
        eventually(lambda: station.has_taken("cam-1", 2), "stored")
        assert seqs(station, "cam-1") == [1, 2]
        assert station.state("cam-1") == "online"
        eventually(lambda: station.state("cam-1") == "offline", "silence noticed", 10)
    assert_replay_agrees(station, "cam-1", "cam-2")


def test_every_device_is_restored_with_its_snapshot_or_without(tmp_path: Path, broker: RunningBroker) -> None:
    station = Station(tmp_path / "many", broker.url, timeout_s=60.0)
    names = [f"dev-{number:03}" for number in range(60)]
    station.register(*names)
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beats(names, timed(station, 1))
        eventually(lambda: station.state(names[-1]) == "online", "online")
    for lost in (False, True):
        if lost:
            for path in station.settings.data_dir.glob("spool.db*"):
                path.unlink()
        collector = Collector(station.settings, Broker(station.url), station.db, station.store, station.clock)
        assert collector.keeper.prepare(threading.Event())
        assert {collector.keeper.state_of(name) for name in names} == {"online"}
        collector.spool.close()


def test_two_collectors_on_one_folder_are_refused(station: Station) -> None:
    with station.collecting():
        eventually(station.listening, "listening")
        with pytest.raises(Conflict, match="another collector"):
            Collector(station.settings, Broker(station.url), station.db, station.store, station.clock)

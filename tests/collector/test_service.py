"""The whole collector on a real broker: what devices say becomes runs, transitions, quarantine, coverage."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collector import coverage as causes
from collector import keeper, recovery
from pulse.access import maintenance as recording
from pulse.access.roles import command_line
from pulse.clock import HOUR_US
from pulse.indicators.books import Library
from pulse.indicators.sharing_publication import SharingPublication
from pulse.ledger.model import FOREVER, Blind, Evidence, Maintenance, Scope
from pulse.messages import Message
from pulse.registry.plans import Plan, Reach
from pulse.settings import Broker
from pulse.sharing.catalogue import DataKind, Version
from pulse.sharing.receipts import Part, Receipt
from pulse.stores.relational import (
    catalogue,
    events,
    maintenance,
    policies,
    published,
    quarantine,
    receipts,
    registry,
)
from tests.collector.station import TIMEOUT_S, Station, field, topic
from tests.collector.test_faults import assert_replay_agrees
from tests.collector.test_mqtt import eventually
from tests.servers import RunningBroker, mosquitto

SECOND_US = 1_000_000
_MEI, _LI = command_line("mei", "host"), command_line("li", "host")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
def station(tmp_path: Path, broker: RunningBroker) -> Station:
    station = Station(tmp_path / "data", broker.url)
    station.register("cam-1", "cam-2")
    return station


def stored(station: Station, device: str | None = None) -> list[Message]:
    return list(station.store.read_messages(0, FOREVER // 4, device=device))


def now_us(station: Station) -> int:
    return station.clock.now_us()


def timed(station: Station, seq: int, ago_s: float = 0.0) -> bytes:
    ts = (now_us(station) - round(ago_s * SECOND_US)) / SECOND_US
    return json.dumps({"ts": ts, "seq": seq}).encode()


def test_a_beat_makes_a_device_online_and_silence_offline_at_its_deadline(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1")
        eventually(lambda: station.state("cam-1") == "online", "online", 2)
        eventually(lambda: station.state("cam-1") == "offline", "offline", 10)
        eventually(lambda: station.state("cam-2") == "offline", "offline, never heard", 10)
        (run,) = station.runs("cam-1")
        assert run.end - run.start == TIMEOUT_S * SECOND_US
        assert station.transitions("cam-1")[-1] == ("online", "offline", "deadline_passed")
        assert station.transitions("cam-2")[-1][1:] == ("offline", "never_heard")
        assert len(stored(station, "cam-1")) == 1
        assert station.blinds() == []


def test_a_fault_and_an_explicit_offline_are_told_at_once(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1", b'{"status":"fault","fault":"E1"}')
        eventually(lambda: station.state("cam-1") == "fault", "fault")
        devices.say(topic("cam-1", "status"), b"offline", retain=True)
        eventually(lambda: station.state("cam-1") == "offline", "offline")
        assert station.transitions("cam-1")[-1] == ("fault", "offline", "explicit_offline")
        eventually(lambda: len(stored(station, "cam-1")) == 2, "both messages")
    assert [m.evidence for m in stored(station, "cam-1")] == [Evidence.FAULT, Evidence.OFFLINE]


def test_what_cannot_be_accepted_is_in_quarantine_with_its_bytes(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1", b'{"a":NaN}' + b" " * 2000)
        devices.say(topic("cam-1", community="elsewhere"), b"")
        devices.say(topic("cam 1"), b"")
        devices.beat("cam-1", b"x" * 70_000)
        eventually(lambda: len(station.quarantined()) == 4, "four in quarantine")
        assert station.quarantined() == {"not_json": 1, "wrong_place": 1, "bad_id": 1, "oversized": 1}
        with station.db.read() as connection:
            ((_, item),) = quarantine.recent(connection, 10, "not_json")
        assert (item.topic, item.size, len(item.payload)) == (topic("cam-1"), 2009, 1024)
    assert stored(station) == []


def test_a_device_that_nobody_registered_is_stored_and_waits_in_the_inbox(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("stranger")

        def discovered() -> list[str]:
            with station.db.read() as connection:
                return [d.device for d in registry.inbox(connection)]

        eventually(lambda: discovered() == ["stranger"], "discovery")
        eventually(lambda: stored(station, "stranger"), "the message in the store")
        station.register("stranger")
        devices.beat("stranger")
        eventually(lambda: station.state("stranger") == "online", "online once registered", 5)
        assert discovered() == []


def test_the_running_collector_takes_maintenance_once_it_is_approved_and_lets_go_of_it(
    station: Station,
) -> None:
    """A building's, recorded an hour and more after its beginning."""
    station.register("cam-1", building="3号楼")
    with station.collecting():
        eventually(lambda: station.state("cam-1") == "offline", "offline", 10)
        now_us = station.clock.now_us()
        reach = Reach(community="xinjinglou", building="3号楼")
        plan = Plan(reach, now_us - 2 * HOUR_US, now_us + HOUR_US, "换电池")
        with station.db.write() as connection:
            waiting = recording.record(connection, _MEI, plan, now_us, HOUR_US)
        assert waiting.status == "pending"
        before = station.transitions("cam-1")
        with station.db.write() as connection:
            recording.approve(connection, _LI, waiting.id, station.clock.now_us())
        eventually(lambda: station.state("cam-1") == "excluded", "maintenance", 5)
        with station.db.write() as connection:
            recording.cancel(connection, _MEI, waiting.id, "改期", station.clock.now_us())
        eventually(lambda: station.state("cam-1") == "offline", "offline again", 5)
        assert len(station.transitions("cam-1")) == len(before) + 2


def test_a_redelivered_message_is_stored_and_counted_once(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        payload = timed(station, 1)
        for _ in range(3):
            devices.beat("cam-1", payload)
        devices.beat("cam-1", timed(station, 2))
        eventually(lambda: len(stored(station, "cam-1")) == 2, "both messages")
        assert [m.seq for m in stored(station, "cam-1")] == [1, 2]


def test_a_restart_keeps_states_and_revokes_the_gap(station: Station) -> None:
    with field(station.url) as devices:
        with station.collecting():
            eventually(station.listening, "listening")
            devices.beat("cam-1")
            eventually(lambda: station.state("cam-1") == "online", "online")
        assert not station.listening()
        (gap,) = station.blinds()
        assert (gap.end, gap.revoked, gap.cause) == (FOREVER, FOREVER, causes.STOPPED)
        devices.beat("cam-1", timed(station, 1))
        with station.collecting():
            eventually(station.listening, "listening again")
            (gap,) = station.blinds()
            assert gap.revoked < FOREVER
            devices.beat("cam-1", timed(station, 2))
            eventually(lambda: station.has_taken("cam-1", 2), "all three")
            assert [m.queued for m in stored(station, "cam-1")] == [False, True, False]
            assert station.state("cam-1") == "online"
            assert "offline" not in [after for _, after, _ in station.transitions("cam-1")]


def test_a_backlog_is_known_in_instalments_and_makes_no_run_of_every_beat(station: Station) -> None:
    with station.collecting():
        eventually(station.listening, "listening")
    with field(station.url) as devices:
        # Beats of five minutes, of a device that is heard of for the first time.
        for seq in range(300):
            devices.beat("cam-2", timed(station, seq, 301.0 - seq * TIMEOUT_S / 2))
    with station.collecting():
        eventually(station.listening, "listening again")
        eventually(lambda: len(stored(station, "cam-2")) == 300, "everything", 20)
        eventually(lambda: station.state("cam-2") == "offline", "the end of it")
    assert all(message.queued for message in stored(station, "cam-2"))
    instalments = {message.observed_us for message in stored(station, "cam-2")}
    assert len(instalments) <= 5
    assert 1 <= len(station.runs("cam-2")) <= len(instalments) + 1
    assert_replay_agrees(station, "cam-2")


def test_a_queued_beat_without_a_time_keeps_the_gap_for_its_device(station: Station) -> None:
    with field(station.url) as devices:
        with station.collecting():
            eventually(station.listening, "listening")
        devices.beat("cam-1")
        devices.beat("cam-2", timed(station, 1))
        with station.collecting():
            eventually(station.listening, "listening again")
            kept = [b for b in station.blinds() if b.revoked == FOREVER]
            assert [(b.scope, b.cause) for b in kept] == [(Scope(device="cam-1"), causes.QUEUED_WITHOUT_TIME)]


def proof_of(station: Station) -> recovery.Proof:
    with station.db.read() as connection:
        return recovery.read_proof(connection) or recovery.Proof(0, None)


def kept_causes(station: Station) -> list[str]:
    return [b.cause for b in station.blinds() if b.revoked == FOREVER and b.scope == Scope()]


def test_a_queue_that_dropped_messages_keeps_the_gap(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "small", "max_queued_messages 10\nsys_interval 1") as small:
        station = Station(tmp_path / "data", small.url)
        station.register("cam-1")
        with field(small.url) as devices:
            with station.collecting():
                eventually(station.listening, "listening")
                eventually(lambda: proof_of(station).dropped is not None, "the broker's count, written down")
            for seq in range(60):
                devices.beat("cam-1", timed(station, seq))
            with station.collecting():
                eventually(lambda: kept_causes(station) == [causes.MESSAGES_DROPPED], "the kept gap", 30)


def test_numbers_missing_from_a_backlog_keep_the_gap_for_their_device(tmp_path: Path) -> None:
    """The queue overflows, and the broker tells no count of that: only the device's numbers show it."""
    with mosquitto(tmp_path / "small", "max_queued_messages 10\nsys_interval 0") as small:
        station = Station(tmp_path / "data", small.url)
        station.register("cam-1", "cam-2")
        with field(small.url) as devices:
            with station.collecting():
                eventually(station.listening, "listening")
                for seq in range(8):
                    devices.beat("cam-1", timed(station, seq))
                    devices.beat("cam-2", timed(station, seq))
                eventually(lambda: station.has_taken("cam-2", 7), "what was said before")
            devices.beat("cam-2", timed(station, 8))
            for seq in range(8, 70):
                devices.beat("cam-1", timed(station, seq))
            with station.collecting():
                eventually(station.listening, "listening")
                devices.beat("cam-2", timed(station, 9))
                devices.beat("cam-1", timed(station, 70))
                eventually(lambda: len(kept_blinds(station)) == 1, "the device's gap", 20)
                eventually(lambda: station.has_taken("cam-1", 70), "the last message")
        (kept,) = kept_blinds(station)
        assert (kept.scope, kept.cause) == (Scope(device="cam-1"), causes.SEQUENCE_GAP)
        last = stored(station, "cam-1")[-2]
        assert last.seq is not None
        assert last.seq < 69
        assert last.queued
        assert kept.start == last.measured_us
        assert kept.start < kept.end <= kept.recorded
        gap = station.blinds()[0]
        assert gap.scope == Scope()
        assert gap.revoked < FOREVER


def kept_blinds(station: Station) -> list[Blind]:
    """Those of one device."""
    return [blind for blind in station.blinds() if blind.revoked == FOREVER and blind.scope != Scope()]


def test_a_beat_after_a_change_of_policy_is_judged_by_it_although_nobody_had_noticed(
    station: Station,
) -> None:
    """The collector looks once a second, and the beat came before that."""
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1")
        devices.beat("cam-2")
        eventually(lambda: station.state("cam-2") == "online", "online", 2)
        with station.db.write() as connection:
            policies.declare(connection, "device", "cam-1", {"timeout_us": 5 * SECOND_US}, now_us(station))
        devices.beat("cam-1")
        devices.beat("cam-2")
        eventually(lambda: station.state("cam-1") == "offline", "offline", 15)
        (run,) = station.runs("cam-1")
        assert run.end == stored(station, "cam-1")[-1].observed_us + 5 * SECOND_US
        assert station.runs("cam-2")[0].end == stored(station, "cam-2")[-1].observed_us + 2 * SECOND_US
        assert_replay_agrees(station, "cam-1", "cam-2")


@pytest.mark.parametrize("has_snapshot", [True, False])
def test_a_change_of_policy_that_nobody_noticed_before_a_restart_judges_what_was_heard_since(
    station: Station, monkeypatch: pytest.MonkeyPatch, has_snapshot: bool
) -> None:
    with field(station.url) as devices:
        with monkeypatch.context() as patch, station.collecting():
            patch.setattr(keeper, "REGISTRY_S", 3600.0)
            eventually(station.listening, "listening")
            devices.beats(["cam-1", "cam-2"])
            eventually(lambda: station.state("cam-1") == "online", "online", 2)
            with station.db.write() as connection:
                policies.declare(connection, "device", "cam-1", {"timeout_us": SECOND_US}, now_us(station))
            devices.beats(["cam-1", "cam-2"])
            eventually(lambda: station.state("cam-2") == "offline", "offline", 10)
            (run,) = station.runs("cam-1")
            heard_us = stored(station, "cam-1")[-1].observed_us
            assert run.end == heard_us + 2 * SECOND_US
        if not has_snapshot:
            (station.settings.data_dir / "spool.snapshot").unlink()
        with station.collecting():
            eventually(lambda: station.runs("cam-1")[-1].end == heard_us + SECOND_US, "judged anew", 10)
            eventually(station.listening, "listening")
            assert len(station.runs("cam-2")) == 1
            assert_replay_agrees(station, "cam-1", "cam-2")


def test_a_broker_that_was_down_keeps_the_gap_although_it_kept_the_session(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "persistent", "sys_interval 1") as broker:
        station = Station(tmp_path / "data", broker.url)
        station.register("cam-1")
        with station.collecting() as collector:
            eventually(station.listening, "listening")
            broker.stop()
            eventually(lambda: not station.listening(), "blindness")
            since_us = station.blinds()[0].start
            eventually(lambda: now_us(station) > since_us + 4 * SECOND_US, "four seconds")
            broker.start()
            eventually(lambda: collector.link.connections == 2, "the connection", 40)
            eventually(lambda: kept_causes(station) == [causes.BROKER_RESTARTED], "the kept gap", 30)


def test_every_message_of_a_burst_is_stored_across_restarts(station: Station) -> None:
    names = [f"dev-{number}" for number in range(200)]
    station.register(*names)
    sent = 0
    with field(station.url) as devices:
        for round_ in range(3):
            with station.collecting():
                if round_ == 0:  # before the first session the broker keeps nothing for us
                    eventually(station.listening, "listening")
                devices.beats(names, timed(station, sent))
                sent += len(names)
            devices.beats(names, timed(station, sent + 1))
            sent += len(names)
        with station.collecting():
            eventually(station.listening, "listening")
            eventually(lambda: len(stored(station)) >= sent, "everything in the store")
            assert len(stored(station)) == sent


def test_states_and_the_indicator_are_published_retained(station: Station) -> None:
    got: dict[str, dict[str, object]] = {}

    def keep(_client: Client, _userdata: object, message: object) -> None:
        got[message.topic] = json.loads(message.payload)  # type: ignore[attr-defined]

    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1")
        eventually(lambda: station.state("cam-1") == "online", "online")
        with field_reader(station.url) as reader:
            reader.on_message = keep
            reader.subscribe([("pulse/indicators/#", 1), ("pulse/devices/#", 1)])
            eventually(
                lambda: got.get("pulse/indicators/online-rate", {}).get("running") == 1, "the indicator"
            )
            eventually(lambda: got.get("pulse/devices/cam-1/state", {}).get("state") == "online", "the state")
            whole = got["pulse/indicators/online-rate"]
            assert whole["total"] == 2
            eventually(lambda: "pulse/indicators/online-rate/xinjinglou" in got, "the community's")
            eventually(lambda: got["pulse/indicators/online-rate"].get("determined"), "a determined rate", 10)
            assert got["pulse/indicators/online-rate/xinjinglou"]["community"] == "xinjinglou"


def test_what_the_scheduler_publishes_of_data_sharing_is_published_retained(station: Station) -> None:
    got: dict[str, dict[str, object]] = {}

    def keep(_client: Client, _userdata: object, message: object) -> None:
        got[message.topic] = json.loads(message.payload)  # type: ignore[attr-defined]

    with station.db.write() as connection:
        kind = DataKind(id="video_status", name_zh="", name_en="", sources=("camera",), schema={})
        catalogue.append(connection, [Version(kind.id, 0, 0, kind)])
    with station.collecting():
        eventually(station.listening, "listening")
        sharing = SharingPublication(station.db, Library(station.db, station.clock, TIMEOUT_S))

        def published_now() -> int:
            value = sharing.draft(now_us(station)).value
            with station.db.write() as connection:
                published.append(connection, value)
            return value.numerator

        assert published_now() == 0
        with field_reader(station.url) as reader:
            reader.on_message = keep
            reader.subscribe([("pulse/indicators/#", 1)])
            name = "pulse/indicators/data-sharing-ratio"
            eventually(lambda: got.get(name, {}).get("collectable") == 1, "the ratio")
            at_us = now_us(station)
            part = Part(
                data_kind="video_status", community="xinjinglou", count=1, first_us=at_us, last_us=at_us
            )
            made = Receipt("police", "police-1", "0" * 64, (part,), "{}", at_us, at_us, at_us)
            with station.db.write() as connection:
                receipts.append(connection, made)
            eventually(lambda: published_now() == 1, "shared as known at the watermark")
            eventually(lambda: got[name]["percent"] == "100.0", "8 of 8")
            assert got[name]["kinds"] == [
                {"id": "video_status", "state": "shared", "reason": "records_acknowledged"}
            ]
            eventually(lambda: got.get(f"{name}/xinjinglou", {}).get("percent") == "100.0", "the community's")
            assert got[f"{name}/xinjinglou"]["community"] == "xinjinglou"


def test_silence_in_maintenance_is_a_change_of_the_raw_rate_and_is_told(station: Station) -> None:
    """The state stays what it was, excluded, so that no transition tells of it."""

    def told() -> list[tuple[int, int]]:
        with station.db.read() as connection:
            found = [e.body for e in events.after(connection, 0, 10_000) if e.topic == "indicator"]
        return [(body["running"], body["states"]["excluded"]) for body in found]

    with station.db.write() as connection:
        window = Maintenance(0, FOREVER, 0, scope=Scope(device="cam-1"))
        maintenance.record(connection, window, "lens", "wang")
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.beat("cam-1")
        eventually(lambda: told()[-1:] == [(1, 1)], "running, though excluded", 5)
        before = station.transitions("cam-1")
        eventually(lambda: told()[-1:] == [(0, 1)], "running no more", 10)
        assert station.transitions("cam-1") == before


@contextmanager
def field_reader(url: str) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, "reader")
    client.connect(Broker(url).host, Broker(url).port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def test_it_stops_within_five_seconds_even_without_a_broker(station: Station, broker: RunningBroker) -> None:
    broker.kill()
    with station.collecting():
        time.sleep(0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 5

"""Faults 1, 2, 21 to 24 of the broker's side, against the real mosquitto and the real `pulse collector`."""

import json
from contextlib import ExitStack
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collector import coverage as causes
from collector.backoff import TAKEN_OVER_S
from pulse.access import incidents as deciding
from pulse.access.roles import command_line
from pulse.ledger.model import FOREVER
from pulse.stores.relational import incidents
from pulse.stores.relational.incidents import Entry
from tests.collector.station import Station, field, topic
from tests.collector.test_faults import chatter
from tests.collector.test_mqtt import eventually
from tests.faults.house import collecting, proxy, seqs, states_said, timed
from tests.servers import RunningBroker

ANNA, BERT = command_line("anna", "host"), command_line("bert", "host")
TOWN = [f"dev-{number:03}" for number in range(826)]


def test_fault_01_a_broker_that_restarts_is_found_again_and_nothing_is_lost(
    station: Station, broker: RunningBroker
) -> None:
    with collecting(station) as collector:
        eventually(station.listening, "listening", 30)
        broker.restart()
        eventually(lambda: "disconnected" in collector.said(), "the loss noticed")
        with field(station.url) as devices:
            devices.beat("cam-1", timed(station, 1))
        eventually(lambda: collector.said().count("session_present") == 2, "a second connection", 30)
        eventually(lambda: seqs(station, "cam-1") == [1], "what the session kept", 30)
        eventually(station.listening, "listening again", 30)
        assert collector.said().count("session_present=True") + collector.said().count(
            '"session_present": true'
        ), collector.said()


def test_fault_01_a_network_that_cuts_halves_and_delays_loses_and_doubles_nothing(
    tmp_path: Path, broker: RunningBroker
) -> None:
    with proxy(broker.port) as between:
        station = Station(tmp_path / "behind", f"mqtt://127.0.0.1:{between.port}")
        station.register("cam-1")
        with collecting(station) as collector, field(broker.url) as devices:
            eventually(station.listening, "listening", 30)
            sent = 0
            between.halving = True
            for delay_s in (0.0, 0.02, 0.0):
                between.delay_s = delay_s
                for _ in range(60):
                    sent += 1
                    devices.beat("cam-1", timed(station, sent))
                between.cut()
            eventually(lambda: len(seqs(station, "cam-1")) >= sent, "every message", 60)
            assert seqs(station, "cam-1") == list(range(1, sent + 1))
            assert collector.said().count("session_present") >= 2


def test_fault_02_a_broker_killed_with_its_queue_leaves_unknown_and_never_offline(
    station: Station, broker: RunningBroker
) -> None:
    with collecting(station):
        eventually(station.listening, "listening", 30)
        with field(station.url) as devices:
            devices.beats(["cam-1", "cam-2"])
            eventually(lambda: station.state("cam-2") == "online", "online")
        broker.kill()
        eventually(lambda: [station.state(d) for d in ("cam-1", "cam-2")] == ["unknown"] * 2, "unknown", 15)
        (broker.log.parent / "mosquitto.db").unlink(missing_ok=True)
        broker.start()
        eventually(station.listening, "listening again", 40)
        assert [b.cause for b in station.blinds() if b.revoked == FOREVER] == [causes.SESSION_LOST]
        said = [after for _, after, cause in station.transitions("cam-1") if cause != "deadline_passed"]
        assert "offline" not in said[said.index("online") :]


def test_fault_21_a_retained_heartbeat_or_will_of_the_past_is_neither_life_nor_death(
    station: Station,
) -> None:
    with field(station.url) as devices:
        devices.say(topic("cam-1"), timed(station, 1), retain=True)
        devices.say(topic("cam-2", "status"), b"offline", retain=True)
        with collecting(station):
            eventually(station.listening, "listening", 30)
            devices.beat("cam-2", timed(station, 1))
            eventually(lambda: station.state("cam-2") == "online", "online", 10)
            assert "explicit_offline" not in [cause for _, _, cause in station.transitions("cam-2")]
            assert states_said(station, "cam-1") == []


def found(station: Station) -> list[Entry]:
    """The incidents, oldest first."""
    with station.db.read() as connection:
        return incidents.listing(connection)[::-1]


def test_fault_22_a_storm_of_wills_and_a_silent_majority_are_one_incident_each(
    tmp_path: Path, broker: RunningBroker
) -> None:
    station = Station(tmp_path / "town", broker.url, timeout_s=6.0)
    names = TOWN[:240]
    station.register(*names)
    dying, well = names[:140], names[140:]
    with collecting(station), field(station.url) as devices, ExitStack() as stack:
        eventually(station.listening, "listening", 30)
        wills = []
        for name in dying:
            client = Client(CallbackAPIVersion.VERSION2, name)
            client.will_set(topic(name, "status"), "offline", qos=1, retain=True)
            client.connect(broker.host, broker.port)
            wills.append(client)
        devices.beats(names, timed(station, 1))
        stack.enter_context(chatter(devices, well, station, 1.0))
        eventually(lambda: station.state(names[-1]) == "online", "online", 15)

        # The broker loses 140 of 240 devices at once.
        for client in wills:
            sock = client.socket()
            assert sock is not None
            # Closed without a goodbye.
            sock.close()
        for name in (dying[0], dying[-1]):
            eventually(lambda n=name: station.state(n) == "offline", "the wills told", 20)  # type: ignore[misc]
            assert states_said(station, name) == ["online", "offline"]
        eventually(lambda: [e.found.devices for e in found(station)] == [140], "one incident", 10)
        (storm,) = found(station)
        assert (storm.status, storm.found.of) == ("suspected", 240)
        assert station.transition_times(dying[0], "explicit_offline")[0] <= storm.found.start

        # They are back, and then silent: no will, nothing.
        devices.beats(dying, timed(station, 2))
        eventually(lambda: found(station)[0].is_over, "the end", 10)
        for name in (dying[0], dying[-1]):
            eventually(lambda n=name: station.state(n) == "offline", "silence told", 20)  # type: ignore[misc]
            run = station.runs(name)[-1]
            assert station.transition_times(name, "deadline_passed") == [run.end]
        eventually(lambda: [e.found.devices for e in found(station)] == [140, 140], "a second one", 10)
        silence = found(station)[1]
        # Deadlines held, and nothing but they changed a state.
        assert [b for b in station.blinds() if b.scope.community is not None] == []
        assert {station.state(name) for name in dying} == {"offline"}
        assert all(states_said(station, name) == ["online"] for name in (well[0], well[50], well[-1]))

        # Two people decide that it was blindness: unknown from then on.
        with station.db.write() as connection:
            deciding.confirm(connection, ANNA, silence.id, "光缆被挖断", station.clock.now_us())
        with station.db.write() as connection:
            decided = deciding.approve(connection, BERT, silence.id, station.clock.now_us())
        for name in (dying[0], dying[-1]):
            eventually(lambda n=name: station.state(n) == "unknown", "unknown", 10)  # type: ignore[misc]
        (blind,) = [b for b in station.blinds() if b.scope.community is not None]
        assert decided.approved is not None
        assert (blind.start, blind.end, blind.cause) == (silence.found.start, FOREVER, deciding.CAUSE)
        assert blind.recorded == decided.approved.at_us
        assert states_said(station, well[0]) == ["online"]

        # Heard again: the interval has an end, and the incidents are two still.
        devices.beats(dying, timed(station, 3))
        eventually(lambda: found(station)[1].is_over, "the end", 10)
        closed = [b for b in station.blinds() if b.scope.community is not None and b.revoked == FOREVER]
        assert [(b.start, b.end) for b in closed] == [(blind.start, found(station)[1].found.ended)]
        eventually(lambda: station.state(dying[0]) == "online", "online again", 10)
        assert len(found(station)) == 2


def test_fault_23_826_devices_that_reconnect_at_once_flip_nowhere(
    tmp_path: Path, broker: RunningBroker
) -> None:
    station = Station(tmp_path / "town", broker.url, timeout_s=20.0)
    station.register(*TOWN)
    with collecting(station), field(station.url) as devices:
        eventually(station.listening, "listening", 30)
        for seq in (1, 2):
            with ExitStack() as stack:
                for name in TOWN:
                    client = Client(CallbackAPIVersion.VERSION2, name)
                    client.connect(broker.host, broker.port)
                    stack.callback(client.disconnect)
                devices.beats(TOWN, timed(station, seq))
        eventually(lambda: station.state(TOWN[-1]) == "online", "online", 30)

        eventually(lambda: station.has_taken(TOWN[-1], 2), "both beats of everybody", 30)
        counts = dict.fromkeys(TOWN, 0)
        for message in station.store.read_messages(0, FOREVER // 4):
            counts[message.device] += 1
        assert set(counts.values()) == {2}
        assert all(states_said(station, name) == ["online"] for name in TOWN[::100])


def test_fault_24_another_client_with_our_id_is_an_alarm_and_no_ping_pong(
    station: Station, broker: RunningBroker
) -> None:
    with collecting(station) as collector:
        eventually(station.listening, "listening", 30)
        other = Client(CallbackAPIVersion.VERSION2, "community-pulse")
        other.connect(broker.host, broker.port)
        other.loop_start()
        try:
            eventually(lambda: "client_id_taken_over" in collector.said(), "the alarm", 20)
            eventually(lambda: not station.listening(), "blindness")
            # The other comes back at once, again and again; we stay away for a minute and more.
            assert collector.said().count("session_present") <= 6
            (alarm,) = [line for line in collector.said().splitlines() if "client_id_taken_over" in line]
            least_s, most_s = TAKEN_OVER_S
            assert least_s <= json.loads(alarm)["retry_s"] <= most_s
        finally:
            other.disconnect()
            other.loop_stop()

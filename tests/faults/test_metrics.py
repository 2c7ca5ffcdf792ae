"""The collector's figures after a known sequence are exactly those of the sequence (docs/monitoring.md)."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from collector.redeliveries import Redeliveries
from pulse.ledger.model import FOREVER
from tests.collector.scraping import Figures, own, quarantined, scraped, settled
from tests.collector.station import Station, field, topic
from tests.collector.test_faults import moody
from tests.collector.test_mqtt import eventually
from tests.faults.house import SECOND_US, collecting, proxy, seqs, stored, timed
from tests.servers import HOST, RunningBroker, free_port

REFUSED: dict[str, tuple[bytes, ...]] = {
    "bad_fault_code": (b'{"fault":true}',),
    "bad_metric_name": (b'{"a b":1}', b'{"order":1}'),
    "bad_seq": (b'{"seq":1.5}',),
    "bad_status": (b'{"status":"warm"}',),
    "bad_time": (b'{"ts":true}', b'{"ts":"yesterday"}', b'{"ts":1e300}'),
    "duplicate_member": (b'{"a":1,"a":2}', b'{"seq":1,"seq":2}'),
    "nested": (b'{"a":[1]}', b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "not_an_object": (b"[1]", b"null"),
    "not_json": (b'{"a":NaN}', rb'{"fault":"\ud800"}', b"\xff\xfe", b"\xef\xbb\xbf{}"),
    "not_utf8": (b'{"a":"\xff"}',),
    "number_out_of_range": (b'{"a":1e999}', b'{"seq":9223372036854775808}', b'{"a":' + b"9" * 5000 + b"}"),
    "oversized": (b"x" * 65_537,),
    "too_many_members": (json.dumps({f"a{n}": n for n in range(65)}).encode(),),
}


def wide_blind_us(station: Station) -> int:
    """Length of the blind intervals that hold for everybody."""
    held = [b for b in station.blinds() if not any(b.scope) and b.revoked == FOREVER]
    assert all(b.end < FOREVER for b in held)
    return sum(b.end - b.start for b in held)


def deadlines(station: Station, *devices: str) -> int:
    """How often a deadline of these passed."""
    return sum(len(station.transition_times(device, "deadline_passed")) for device in devices)


def counted(found: Figures, name: str) -> float:
    return found[f"pulse_messages_{name}_total"]


@pytest.mark.parametrize("reader", ["batch", "paho"])
def test_after_a_known_sequence_every_figure_is_exactly_that(
    station: Station, broker: RunningBroker, reader: str
) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/metrics"
    with collecting(station, PULSE_METRICS_PORT=str(port), PULSE_MQTT_READER=reader) as collector:
        eventually(station.listening, "listening", 30)
        assert (scraped(url)["pulse_blind_seconds_total"], wide_blind_us(station)) == (0, 0)
        with field(station.url) as devices:
            for seq in range(1, 8):
                devices.beat("cam-1", timed(station, seq))
            again = timed(station, 8)
            for _ in range(1 + 5):
                devices.beat("cam-1", again)
            for seq in (9, 10, 11):
                devices.beat("cam-1", timed(station, seq, 120.0))
            for _ in range(2):
                devices.beat("stranger")
            for payloads in REFUSED.values():
                for payload in payloads:
                    devices.beat("cam-2", payload)
            devices.say(topic("cam-1", community="elsewhere"), b"")
            for name in ("cam 1", "cam=1", "a" * 65):
                devices.beat(name)
        eventually(lambda: counted(scraped(url), "received") >= 40 and settled(scraped(url)), "all taken", 20)
        broker.kill()
        (broker.log.parent / "mosquitto.db").unlink(missing_ok=True)
        broker.start()
        eventually(lambda: scraped(url).get("pulse_broker_reconnects_total") == 1, "a second connection", 30)
        eventually(station.listening, "listening again", 30)
        with field(station.url) as devices:
            devices.beat("cam-2", timed(station, 1))
        eventually(lambda: station.state("cam-2") == "online", "online", 20)
        eventually(lambda: [station.state(d) for d in ("cam-1", "cam-2")] == ["offline"] * 2, "silence", 30)
        eventually(lambda: settled(scraped(url)), "everything accounted for", 20)
        found, blind_us = scraped(url), wide_blind_us(station)
        assert collector.end() == 0
    bad = {reason: len(payloads) for reason, payloads in REFUSED.items()} | {"wrong_place": 1, "bad_id": 3}
    assert quarantined(found) == bad == station.quarantined()
    good = 7 + 1 + 3 + 2 + 1
    assert {name: counted(found, name) for name in ("accepted", "stored", "duplicate", "late")} == {
        "accepted": good,
        "stored": good,
        "duplicate": 5,
        "late": 3,
    }
    assert counted(found, "received") == good + 5 + sum(bad.values())
    assert len(stored(station)) == good
    assert seqs(station, "cam-1") == list(range(1, 12))
    for name in ("given_up", "discarded", "known_to_store", "refused_by_store"):
        assert counted(found, name) == 0, name
    assert counted(found, "unregistered") == 2
    assert found["pulse_broker_connections_total"] == 2
    assert found["pulse_batch_messages_sum"] == good + sum(bad.values())
    assert found["pulse_batch_messages_count"] == found["pulse_commit_seconds_count"] >= 2
    assert found["pulse_commit_seconds_sum"] > 0
    assert found["pulse_detection_lag_seconds_count"] == deadlines(station, "cam-1", "cam-2") >= 2
    assert found["pulse_listening"] == 1
    assert found["pulse_blind_seconds_total"] == pytest.approx(blind_us / SECOND_US)
    assert blind_us > 0
    assert (found["pulse_spool_messages"], found["pulse_spool_bytes"]) == (0, 0)
    assert found["pulse_spool_oldest_seconds"] == 0


def test_a_gap_that_is_revoked_counts_as_blind_and_a_restart_adds_its_own(
    tmp_path: Path, broker: RunningBroker
) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/metrics"
    with proxy(broker.port) as between:
        station = Station(tmp_path / "behind", f"mqtt://{HOST}:{between.port}")
        with collecting(station, PULSE_METRICS_PORT=str(port)) as collector:
            eventually(station.listening, "listening", 30)
            between.refusing = True
            between.cut()
            eventually(lambda: scraped(url)["pulse_listening"] == 0, "deafness")
            eventually(lambda: scraped(url)["pulse_blind_seconds_total"] > 1, "time without hearing", 20)
            between.refusing = False
            eventually(station.listening, "listening again", 30)
            eventually(lambda: station.blinds()[0].revoked < FOREVER, "the gap revoked")
            gap = station.blinds()[0]
            counted_s = scraped(url)["pulse_blind_seconds_total"]
            assert 1 < counted_s <= (gap.revoked - gap.start) / SECOND_US
            collector.kill()
        killed_us = station.clock.now_us()
        with collecting(station, PULSE_METRICS_PORT=str(port)):
            eventually(lambda: len(station.blinds()) == 2 and station.listening(), "listening again", 30)
            down = next(b for b in station.blinds() if b.cause == "collector_down")
            counted_s = scraped(url)["pulse_blind_seconds_total"]
            assert down.start <= killed_us
            assert (killed_us - down.start) / SECOND_US < counted_s < (down.revoked - down.start) / SECOND_US


def test_a_crash_counts_what_the_store_knows_apart_from_what_is_new(station: Station) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/metrics"
    with collecting(station, PULSE_METRICS_PORT=str(port)) as collector, field(station.url) as devices:
        eventually(station.listening, "listening", 30)
        for seq in range(1, 6):
            devices.beat("cam-1", timed(station, seq))
        eventually(lambda: len(stored(station)) == 5, "all stored", 20)
        collector.kill()
        devices.beat("cam-1", timed(station, 6))
    with collecting(station, PULSE_METRICS_PORT=str(port)):
        eventually(lambda: seqs(station, "cam-1") == [1, 2, 3, 4, 5, 6], "the last one", 30)
        eventually(lambda: scraped(url)["pulse_spool_messages"] == 0, "an empty spool", 20)
        found = scraped(url)
    assert counted(found, "stored") == 1
    # What the mark on disk did not cover is written again, and nothing is new in it.
    assert counted(found, "known_to_store") in {0, 5}
    assert counted(found, "received") == counted(found, "accepted") + counted(found, "duplicate")
    assert counted(found, "accepted") == 1


def test_what_a_full_spool_does_not_take_is_given_up_and_counted_when_it_comes_again(
    station: Station,
) -> None:
    before = own()
    with station.collecting() as collector, field(station.url) as devices:
        eventually(station.listening, "listening")
        room, collector.spool.max_bytes = collector.spool.max_bytes, 0
        devices.beat("cam-1", timed(station, 1))
        devices.beat("cam-1", b"{")
        eventually(lambda: not station.listening(), "blindness")
        collector.spool.max_bytes = room
        eventually(lambda: seqs(station, "cam-1") == [1] and station.quarantined(), "both messages", 30)

        def gained(series: str) -> float:
            now = own()
            return now.get(series, 0) - before.get(series, 0)

        eventually(lambda: gained("pulse_messages_stored_total") == 1, "the figures")
        assert gained("pulse_messages_accepted_total") == 1
        assert gained('pulse_messages_quarantined_total{reason="not_json"}') == 1
        assert station.quarantined() == {"not_json": 1}
        given_up = gained("pulse_messages_given_up_total")
        assert given_up >= 1
        assert gained("pulse_messages_received_total") == 2 + given_up
        assert gained("pulse_messages_duplicate_total") == 0


def test_what_waits_is_told_while_the_store_is_away(station: Station) -> None:
    store = moody(station)
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        store.away = True
        for seq in (1, 2, 3):
            devices.beat("cam-1", timed(station, seq))
        eventually(lambda: own()["pulse_spool_messages"] == 3, "three that wait")
        assert own()["pulse_spool_bytes"] > 0
        older_than_s = own()["pulse_spool_oldest_seconds"]
        eventually(lambda: own()["pulse_spool_oldest_seconds"] > older_than_s, "their age growing")
        store.away = False
        eventually(lambda: own()["pulse_spool_messages"] == 0, "none that waits", 20)
        assert own()["pulse_spool_oldest_seconds"] == 0
    assert "pulse_spool_messages" not in own()


def test_a_message_that_fails_on_its_way_in_is_not_acknowledged_with_the_others(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit, failures = Redeliveries.admit_many, [RuntimeError("for this test")]

    def admitting(self: Redeliveries, *arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return admit(self, *arguments)

    with station.collecting() as collector, field(station.url) as devices:
        eventually(station.listening, "listening")
        monkeypatch.setattr(Redeliveries, "admit_many", admitting)
        devices.beat("cam-1", timed(station, 1))
        eventually(lambda: seqs(station, "cam-1") == [1], "the message, come again", 30)
        assert collector.link.connections == 2


def test_a_port_that_is_taken_stops_the_start_in_words(station: Station) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with collecting(station, PULSE_METRICS_PORT=str(port)) as collector:
            assert collector.process.wait(30) == 1
    said = collector.said()
    assert f"{HOST}:{port}" in said
    assert "PULSE_METRICS_PORT" in said
    assert "无法监听" in said
    assert "Traceback" not in said


def test_nothing_is_served_unless_a_port_is_given(station: Station) -> None:
    with collecting(station) as collector:
        eventually(station.listening, "listening", 30)
        assert collector.end() == 0
    assert "metrics_served" not in collector.said()

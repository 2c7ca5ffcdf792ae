"""Thousands of generated messages through one real `pulse collector`: no crash, each one accounted for.

Mosquitto lets no publisher say everything, so the same messages also come from a broker of raw bytes that
passes on anything, with retain and redelivery flags. PULSE_TEST_SEED repeats a run.
"""

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from collector import recovery
from pulse.stores.relational import quarantine
from tests.collector.fakebroker import CANARY, FakeBroker, Peer
from tests.collector.scraping import Figures, both, quarantined, scraped, settled
from tests.collector.station import Station, field
from tests.collector.test_mqtt import eventually
from tests.faults.corpus import (
    BEHIND,
    DEVICES,
    Case,
    Corpus,
    account,
    beat_of,
    is_subscribed,
    passes_mosquitto,
)
from tests.faults.house import Process, collecting, records, stored
from tests.servers import HOST, free_port

FEW, MANY = 2_000, 12_000
LAST = Case(beat_of(BEHIND), b'{"seq":1}', good=True)


def corpus(station: Station, count: int) -> list[Case]:
    """As many messages, the last of them to wait for; prints their seed."""
    seed = int(os.environ.get("PULSE_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"PULSE_TEST_SEED={seed}")
    return [*Corpus(seed, station.clock.now_us()).cases(count - 1), LAST]


def fed(station: Station, reader: str, feed: Callable[[], Sequence[Case]]) -> None:
    """Let `feed` say things to a collector that listens, and account for what it says it said."""
    station.register(*DEVICES, BEHIND)
    port = free_port()
    url = f"http://{HOST}:{port}/metrics"
    with collecting(station, PULSE_METRICS_PORT=str(port), PULSE_MQTT_READER=reader) as collector:
        eventually(station.listening, "listening", 30)
        sent = feed()
        eventually(lambda: station.has_taken(BEHIND, 1) or _over(collector), "the last one", 120)
        eventually(lambda: settled(scraped(url)) or _over(collector), "everything accounted for", 60)
        found = scraped(url)
        assert collector.end() == 0, collector.said()
    said = collector.said()
    for trouble in (
        "Traceback",
        "connection_failed",
        "decoding_failed",
        "decoding_many_failed",
        "ledger_failed",
    ):
        assert trouble not in said, said
    judge(station, sent, found)


def _over(collector: Process) -> bool:
    assert collector.process.poll() is None, collector.said()
    return False


def judge(station: Station, sent: Sequence[Case], found: Figures) -> None:
    """Each message is in its place, and the figures are those of the places."""
    with station.db.read() as connection:
        entries = [item for _, item in quarantine.recent(connection, 10 * MANY)]
        identifier = recovery.identifier(connection)
    became = account(sent, [*stored(station), *records(station)], entries, identifier)
    assert became.stored + became.quarantined + became.repeated == len(sent)
    counted = {name: both(found, name) for name in ("received", "stored", "given_up")}
    assert found["pulse_records_stored_total"] == len(records(station)) > len(sent) // 100
    assert counted == {"received": len(sent), "stored": became.stored, "given_up": 0}
    assert quarantined(found) == station.quarantined()
    assert sum(quarantined(found).values()) == became.quarantined
    # What only a retained copy repeats, the store recognises and nobody before it.
    known = both(found, "duplicate") + both(found, "known_to_store")
    assert known == became.repeated
    assert found["pulse_broker_connections_total"] == 1
    print(f"{len(sent)} sent: {became}, {quarantined(found)}")
    # A corpus that were all good or all bad would show nothing.
    assert min(became) > len(sent) // 200


def through_mosquitto(station: Station, reader: str, count: int) -> None:
    everything = corpus(station, count)
    told = [case for case in everything if passes_mosquitto(case.topic)]

    def feed() -> list[Case]:
        with field(station.url) as devices:
            infos = [devices.client.publish(case.topic.decode(), case.payload, 1) for case in told]
            for info in infos:
                info.wait_for_publish(60)
        return [case for case in told if is_subscribed(case.topic)]

    fed(station, reader, feed)


def through_raw_bytes(folder: Path, reader: str, count: int) -> None:
    peers: list[Peer] = []

    def script(peer: Peer, _number: int) -> None:
        peers.append(peer)
        peer.connack()
        peer.serve()

    with FakeBroker(script) as broker:
        station = Station(folder / "data", broker.url)
        everything = corpus(station, count)

        def feed() -> list[Case]:
            (peer,) = peers
            for number, case in enumerate(everything, start=1):
                peer.publish(case.topic, case.payload, mid=number, retain=case.retain, dup=case.dup)

            def acknowledged() -> list[int]:
                return sorted(mid for mid in peer.acknowledged if mid != CANARY)

            eventually(lambda: len(acknowledged()) >= len(everything), "every acknowledgement", 120)
            assert acknowledged() == list(range(1, len(everything) + 1))
            return everything

        fed(station, reader, feed)


def test_of_thousands_of_messages_through_mosquitto_each_is_accounted_for(station: Station) -> None:
    through_mosquitto(station, "batch", FEW)


def test_of_thousands_of_raw_messages_each_is_accounted_for(tmp_path: Path) -> None:
    through_raw_bytes(tmp_path, "paho", FEW)


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["batch", "paho"])
def test_of_12000_messages_through_mosquitto_each_is_accounted_for(station: Station, reader: str) -> None:
    through_mosquitto(station, reader, MANY)


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["batch", "paho"])
def test_of_12000_raw_messages_each_is_accounted_for(tmp_path: Path, reader: str) -> None:
    through_raw_bytes(tmp_path, reader, MANY)

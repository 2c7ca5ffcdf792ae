"""Faults 7, 9, 25, 26 and 31: of the collector's own process and its spool."""

import sqlite3
from pathlib import Path

from collector import spoolfile
from pulse.ledger.model import FOREVER
from tests.collector.station import Station, field
from tests.collector.test_mqtt import eventually
from tests.faults.house import collecting, look, seqs, stored, timed


def test_fault_07_a_torn_spool_gives_what_is_whole_and_the_loss_counts_as_blind(station: Station) -> None:
    with collecting(station, PULSE_BATCH_MAX_DELAY_MS="0") as collector, field(station.url) as devices:
        eventually(station.listening, "listening", 30)
        for seq in range(1, 101):
            devices.beat("cam-1", timed(station, seq))
        eventually(lambda: len(stored(station)) == 100, "all in the store")
        assert collector.end() == 0
    file = station.settings.data_dir / "spool.db"
    with file.open("r+b") as torn:
        torn.truncate(file.stat().st_size * 3 // 4)
    with collecting(station) as collector, field(station.url) as devices:
        eventually(station.listening, "listening again", 30)
        assert "spool_damaged" in collector.said()
        devices.beat("cam-1", timed(station, 101))
        eventually(lambda: 101 in seqs(station, "cam-1"), "going on")
        assert seqs(station, "cam-1") == list(range(1, 102))
        assert list(file.parent.glob("spool.db.damaged-*"))


def test_fault_07_a_spool_that_lost_its_newest_batches_is_told_and_the_ledger_goes_on_from_the_database(
    station: Station,
) -> None:
    """A disk that forgot what it had written, or an old copy put back: the file is whole, and too old."""
    file = station.settings.data_dir / "spool.db"
    with collecting(station, PULSE_BATCH_MAX_DELAY_MS="0") as collector, field(station.url) as devices:
        eventually(station.listening, "listening", 30)
        devices.beat("cam-1", timed(station, 1))
        eventually(lambda: station.has_taken("cam-1", 1), "the first")
        assert collector.end() == 0
    copy = {part: part.read_bytes() for part in file.parent.glob("spool.db*")}
    with collecting(station, PULSE_BATCH_MAX_DELAY_MS="0") as collector, field(station.url) as devices:
        eventually(station.listening, "listening again", 30)
        for seq in range(2, 21):
            devices.beat("cam-1", timed(station, seq))
        eventually(lambda: station.has_taken("cam-1", 20), "all of them")
        assert collector.end() == 0
    for part in file.parent.glob("spool.db*"):
        part.unlink()
    for part, body in copy.items():
        part.write_bytes(body)
    before = station.runs("cam-1")
    with collecting(station) as collector, field(station.url) as devices:
        eventually(station.listening, "listening a third time", 30)
        assert "spool_lost_batches" in collector.said()
        devices.beat("cam-1", timed(station, 21))
        eventually(lambda: station.has_taken("cam-1", 21), "going on")
        assert seqs(station, "cam-1") == list(range(1, 22))
        assert station.state("cam-1") == "online"
        assert station.runs("cam-1")[: len(before) - 1] == before[:-1]


def test_fault_09_asked_to_end_it_keeps_everything_and_ends_with_status_0(station: Station) -> None:
    with field(station.url) as devices:
        with collecting(station) as collector:
            eventually(station.listening, "listening", 30)
            for seq in range(1, 201):
                devices.client.publish("community/xinjinglou/camera/cam-1/heartbeat", timed(station, seq), 1)
            assert collector.end() == 0
            assert "collector_stopped" in collector.said()
        assert not look(station)["running"]
        with collecting(station) as collector:
            eventually(lambda: len(seqs(station, "cam-1")) >= 200, "all of them", 30)
            assert seqs(station, "cam-1") == list(range(1, 201))
            assert "waiting_for_lease" not in collector.said()


def other_folder(station: Station, folder: Path, url: str) -> Station:
    """The same installation seen from another machine: another data folder, the same database."""
    return Station(folder, url, database_url=station.settings.relational_url())


def test_fault_25_of_two_collectors_the_second_waits_and_takes_over_when_the_first_is_dead(
    tmp_path: Path, station: Station
) -> None:
    second = other_folder(station, tmp_path / "second", station.url)
    with collecting(station) as first, field(station.url) as devices:
        eventually(station.listening, "listening", 30)
        with collecting(second, PULSE_MQTT_CLIENT_ID="second") as standby:
            eventually(lambda: "waiting_for_lease" in standby.said(), "waiting", 30)
            assert f"process {first.process.pid}" in standby.said()
            devices.beat("cam-1", timed(station, 1))
            eventually(lambda: station.state("cam-1") == "online", "online", 10)
            assert '"event": "connected"' not in standby.said()
            assert stored(second) == []
            former = session(station)
            first.kill()
            eventually(lambda: session(station) != former and station.listening(), "its turn", 30)
            devices.beat("cam-1", timed(station, 2))
            eventually(lambda: station.state("cam-1") == "online", "online again", 10)
            # What the dead one acknowledged last may be in its spool alone: not known, so not offline.
            assert "spool_elsewhere" in [b.cause for b in station.blinds() if b.revoked == FOREVER]
            eventually(lambda: len(stored(second)) == 1, "the beat in the second one's store")


def test_fault_25_a_suspended_collector_that_wakes_up_writes_nothing_and_ends(
    tmp_path: Path, station: Station
) -> None:
    second = other_folder(station, tmp_path / "second", station.url)
    with collecting(station, PULSE_MQTT_CLIENT_ID="first") as first, field(station.url) as devices:
        eventually(station.listening, "listening", 30)
        former = session(station)
        first.pause()
        with collecting(second, PULSE_MQTT_CLIENT_ID="second") as standby:
            eventually(lambda: "waiting_for_lease" in standby.said(), "waiting", 40)
            eventually(lambda: "lease_taken_over" in standby.said(), "taking over", 40)
            eventually(lambda: session(station) != former and station.listening(), "its turn", 30)
            devices.beat("cam-1", timed(station, 1))
            eventually(lambda: station.state("cam-1") == "online", "online", 10)
            present = session(station)
            first.resume()
            assert first.process.wait(30) == 1
            assert "lease_lost" in first.said()
            assert session(station) == present
            assert [after for _, after, _ in station.transitions("cam-1")].count("online") == 1
            assert standby.process.poll() is None


def session(station: Station) -> str:
    """Who wrote the watermark last."""
    with sqlite3.connect(station.settings.data_dir / "pulse.db") as db:
        found: str = db.execute("SELECT session FROM watermark").fetchone()[0]
    db.close()
    return found


def test_fault_26_a_spool_of_a_newer_version_is_refused_loudly_and_kept(station: Station) -> None:
    file = station.settings.data_dir / "spool.db"
    with collecting(station) as collector, field(station.url) as devices:
        eventually(station.listening, "listening", 30)
        devices.beat("cam-1", timed(station, 1))
        eventually(lambda: len(stored(station)) == 1, "in the store")
        collector.kill()
    with sqlite3.connect(file) as db:
        db.execute(f"PRAGMA user_version = {spoolfile.FORMAT + 1}")
        before = db.execute("SELECT count(*) FROM batch").fetchone()
    db.close()
    with collecting(station) as collector:
        assert collector.process.wait(30) != 0
        assert "newer version" in collector.said()
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM batch").fetchone() == before
        db.execute(f"PRAGMA user_version = {spoolfile.FORMAT}")
    db.close()
    with collecting(station):
        eventually(station.listening, "listening with the right version", 30)
        assert seqs(station, "cam-1") == [1]


def test_fault_31_with_1024_descriptors_it_says_what_it_needs_instead_of_hanging(station: Station) -> None:
    with collecting(station, open_files=1024) as collector:
        assert collector.process.wait(30) == 1
        assert "LimitNOFILE" in collector.said()

"""Faults 3, 4, 5, 8 and 17: an InfluxDB that is down, slow or refuses, and a disk that is full.

The scripted server gives the answers; what they mean to a real InfluxDB is held by tests/contracts and
tests/collector/test_backends.py.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector import coverage as causes
from pulse.ledger.model import FOREVER
from tests.collector.station import Station, field
from tests.collector.test_mqtt import eventually
from tests.faults.house import Process, collecting, look, seqs, states_said, stored, timed
from tests.servers import RunningBroker
from tests.stores.scripted_influx import Reply, ScriptedInflux, scripted_influx

WRITE = "/api/v2/write"


@pytest.fixture
def influx() -> Iterator[ScriptedInflux]:
    with scripted_influx() as running:
        yield running


def heartbeats(influx: ScriptedInflux, device: str) -> int:
    """Different lines of the device that were taken with 204."""
    lines = {line for body in influx.bodies for line in body.split(b"\n")}
    return len([line for line in lines if f"device={device}".encode() in line and b"seq=" in line])


@contextmanager
def feeding(station: Station, influx: ScriptedInflux) -> Iterator[Process]:
    with collecting(station, PULSE_INFLUXDB_URL=influx.url, PULSE_INFLUXDB_TOKEN="token") as collector:
        eventually(station.listening, "listening", 30)
        yield collector


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(cut=True), id="down", marks=pytest.mark.slow),
        pytest.param(Reply.error(429, "slow down", Retry_After="1"), id="429", marks=pytest.mark.slow),
        pytest.param(Reply.error(500, "internal error"), id="500"),
    ],
)
def test_fault_03_while_influxdb_is_away_the_spool_grows_and_devices_see_nothing(
    station: Station, influx: ScriptedInflux, reply: Reply
) -> None:
    with feeding(station, influx) as collector, field(station.url) as devices:
        influx.judge = lambda _body: reply
        for seq in range(1, 31):
            devices.beat("cam-1", timed(station, seq))
        eventually(lambda: station.state("cam-1") == "online", "online", 10)
        eventually(lambda: station.state("cam-1") == "offline", "offline at its deadline", 10)
        eventually(lambda: look(station)["messages"] == 30, "a spool that grew", 20)
        shown = look(station)
        assert shown["running"]
        assert shown["oldest_age_s"] > 0
        assert shown["stalled"] is None
        assert collector.said().count("session_present") == 1
        influx.bodies.clear()
        influx.judge = None
        eventually(lambda: look(station)["messages"] == 0, "a drained spool", 60)
        assert heartbeats(influx, "cam-1") == 30
        assert states_said(station, "cam-1") == ["online", "offline"]


def test_fault_04_an_influxdb_that_takes_for_ever_holds_up_neither_pings_nor_the_ledger(
    station: Station, influx: ScriptedInflux
) -> None:
    with feeding(station, influx) as collector, field(station.url) as devices:
        influx.judge = lambda _body: Reply(hang=True)
        devices.beat("cam-1", timed(station, 1))
        eventually(lambda: station.state("cam-1") == "online", "online", 10)
        eventually(lambda: station.state("cam-1") == "offline", "offline at its deadline", 10)
        assert station.listening()
        assert station.blinds() == []
        assert collector.said().count("session_present") == 1


@pytest.mark.parametrize("status", [400, 422])
def test_fault_17_a_point_that_influxdb_refuses_is_set_aside_and_the_batch_goes_on(
    station: Station, influx: ScriptedInflux, status: int
) -> None:
    def judge(body: bytes) -> Reply:
        if b"seq=2i" in body:
            return Reply.error(status, "partial write: field type conflict")
        return Reply(204)

    influx.judge = judge
    with feeding(station, influx), field(station.url) as devices:
        for seq in (1, 2, 3):
            devices.beat("cam-1", timed(station, seq))
        eventually(lambda: station.quarantined() == {"refused_by_store": 1}, "one set aside", 20)
        eventually(lambda: look(station)["messages"] == 0, "the others taken", 20)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size."""
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "pulse-test", str(folder)],
            capture_output=True,
            check=False,
        )
        if os.geteuid() == 0
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip("needs mount: run as root where file systems may be mounted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_fault_05_a_full_disk_stops_acknowledging_with_an_alarm_and_loses_nothing(
    tmp_path: Path, broker: RunningBroker, influx: ScriptedInflux
) -> None:
    # The spool's disk is full, the database has another one, as where it is a PostgreSQL.
    with small_disk(tmp_path / "disk", 24) as disk:
        elsewhere = f"sqlite:///{tmp_path / 'pulse.db'}"
        station = Station(disk / "data", broker.url, database_url=elsewhere)
        station.register("cam-1")
        influx.judge = lambda _body: Reply.error(503, "busy")
        with feeding(station, influx) as collector, field(broker.url) as devices:
            devices.beat("cam-1", timed(station, 1))
            ballast = disk / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            sent = 1
            while "spool_stalled" not in collector.said():
                sent += 1
                devices.beat("cam-1", timed(station, sent, filler=sent))
                assert sent < 20_000
            eventually(lambda: look(station)["stalled"], "the alarm", 20)
            eventually(lambda: not station.listening(), "blindness")
            assert causes.SPOOL_STALLED in [blind.cause for blind in station.blinds()]
            ballast.unlink()
            influx.bodies.clear()
            influx.judge = None
            eventually(lambda: not look(station)["stalled"], "the end of the alarm", 30)
            eventually(lambda: heartbeats(influx, "cam-1") >= sent, "every message", 60)
            assert heartbeats(influx, "cam-1") == sent
        assert all(blind.revoked < FOREVER for blind in station.blinds() if blind.end < FOREVER)


def test_fault_08_a_crash_between_writing_and_clearing_the_spool_doubles_nothing(station: Station) -> None:
    with field(station.url) as devices:
        with collecting(station) as collector:
            eventually(station.listening, "listening", 30)
            for seq in range(1, 21):
                devices.beat("cam-1", timed(station, seq))
            eventually(lambda: len(stored(station)) == 20, "all in the store")
            # What left the spool is noted on disk every ten seconds only: now it is all still there.
            collector.kill()
        left = look(station)
        assert not left["running"]
        assert left["messages"] == 20
        with collecting(station) as collector:
            # The watermark of the one that was killed still says that somebody listens.
            eventually(lambda: "session_present" in collector.said(), "a connection", 30)
            eventually(lambda: look(station)["messages"] == 0, "drained again", 20)
            devices.beat("cam-1", timed(station, 21))
            eventually(lambda: len(stored(station)) >= 21, "the next one")
            assert seqs(station, "cam-1") == list(range(1, 22))

"""From a backlog in Mosquitto to the durable acknowledgement, and all the way into InfluxDB.

`pulse collector` runs as the process that it is in operation; the programs that people use for this today
run beside it when they are on PATH. Every contestant drains a backlog of its own, of the same heartbeats,
turn by turn, and the promises are ratios of one run.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulse.stores.relational import spoolstatus
from tests import programs
from tests.bench import backlog
from tests.bench.backlog import DEVICES, FILTER, MESSAGES, NAMES, Figure, cpu_s, peak_mb, until
from tests.bench.telegraf import telegraf
from tests.collector.station import Station
from tests.faults.house import Process
from tests.servers import RunningBroker, RunningInflux, influxd, mosquitto

ROUNDS = 3
LARGE = 1_000_000
MOST_MB = 150


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "mosquitto", "log_type none\n" + backlog.QUEUE_CONF) as running:
        yield running


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[RunningInflux]:
    with influxd(tmp_path / "influxd") as running:
        yield running


def station(folder: Path, broker: RunningBroker) -> Station:
    """An installation whose collector has a session at the broker."""
    made = Station(folder, broker.url, timeout_s=180.0)
    made.register(*NAMES)
    return made


def introduced(one: Station, **settings: str) -> None:
    """Let the collector come once, so that the broker keeps a session for it from now on."""
    with backlog.collector(Process(one, "collector", open_files=None, **settings)):
        until(one.listening)


def drained(one: Station, count: int, has: Callable[[], int], **settings: str) -> tuple[Figure, Figure]:
    """Drain a backlog: to the last durable acknowledgement, and until `has()` is greater by `count`.

    The first is timed by the spool's own rows, from the first reception to the last commit; its process
    had the other work beside it. CPU-seconds and memory are those of all the work.
    """
    before_us, before = one.clock.now_us(), has()
    with backlog.collector(Process(one, "collector", open_files=None, **settings)) as (running, cpu_before_s):
        began, pid = time.monotonic(), running.process.pid
        until(lambda: has() - before >= count, pid)
        took_s, used_s, peak = time.monotonic() - began, cpu_s(pid) - cpu_before_s, peak_mb(pid)
    assert has() - before == count
    spooled = backlog.spooled(one.settings.data_dir, before_us)
    # Of a long drain the first batches have left the spool by its end.
    assert 0.9 * count <= spooled.messages <= count
    return (
        Figure(spooled.messages, (spooled.last_us - spooled.first_us) / 1e6, used_s, peak),
        Figure(count, took_s, used_s, peak),
    )


def waiting(one: Station) -> int:
    """What waits in the spool, as the collector told last."""
    with one.db.read() as connection:
        status = spoolstatus.read(connection)
    return 0 if status is None else status.messages


def line(name: str, figures: list[Figure]) -> None:
    middle = backlog.median(figures)
    cpu = "" if middle.cpu_s is None else f"{middle.per_cpu_s:12,.0f} per CPU-second"
    peak = "" if middle.peak_mb is None else f"{max(f.peak_mb or 0 for f in figures):8.0f} MB"
    print(f"  {name:42}{middle.per_s:10,.0f}/s ({backlog.spread(figures)}k){cpu}{peak}")


def test_a_backlog_is_acknowledged_as_fast_as_mosquitto_sub_throws_it_away(
    tmp_path: Path, broker: RunningBroker
) -> None:
    one = station(tmp_path / "own", broker)
    introduced(one)
    reference = programs.find("mosquitto_sub") is not None
    if reference:
        backlog.make_session(broker, "reference", FILTER)
    own, stored, theirs = [], [], []
    for number in range(ROUNDS):
        backlog.fill(broker, MESSAGES, number, ROUNDS)
        if reference:
            theirs.append(backlog.mosquitto_sub(broker, MESSAGES))
        acknowledged, whole = drained(one, MESSAGES, lambda: backlog.stored(one.settings.data_dir))
        own.append(acknowledged)
        stored.append(whole)
    print(f"\n{MESSAGES:,} heartbeats of {DEVICES} devices, QoS 1, {ROUNDS} rounds, embedded store")
    line("pulse collector, to the acknowledgement", own)
    line("the same, until the store has all", stored)
    if reference:
        line("mosquitto_sub, output thrown away", theirs)
        print(f"  ratio {backlog.share(own, theirs):.2f}")
        assert backlog.share(own, theirs) >= 1
    else:
        print(f"  mosquitto_sub is not here: {programs.HOW_TO_GET['mosquitto_sub']}")
    assert max(figure.peak_mb or 0 for figure in own) < MOST_MB


def test_memory_does_not_grow_with_the_backlog(tmp_path: Path, broker: RunningBroker) -> None:
    one = station(tmp_path / "own", broker)
    away = {
        "PULSE_INFLUXDB_URL": "http://127.0.0.1:9",
        "PULSE_INFLUXDB_TOKEN": "nobody-is-there",
        "PULSE_INFLUXDB_BUCKET": "pulse",
    }
    introduced(one)
    backlog.fill(broker, LARGE, 0, 2)
    figures = {"embedded store": drained(one, LARGE, lambda: backlog.stored(one.settings.data_dir))[0]}
    with backlog.collector(Process(one, "collector", open_files=None)):
        until(lambda: waiting(one) == 0)
    backlog.fill(broker, LARGE, 1, 2)
    figures["telemetry store away"] = drained(one, LARGE, lambda: waiting(one), **away)[0]
    print(f"\n{LARGE:,} heartbeats in the backlog")
    for name, figure in figures.items():
        line(f"pulse collector, {name}", [figure])
        assert (figure.peak_mb or 0) < MOST_MB


def test_into_influxdb_it_is_twice_as_fast_as_telegraf_for_a_quarter_of_the_work(
    tmp_path: Path, broker: RunningBroker, influx: RunningInflux
) -> None:
    one = station(tmp_path / "own", broker)
    settings = {
        "PULSE_INFLUXDB_URL": influx.url,
        "PULSE_INFLUXDB_TOKEN": influx.token,
        "PULSE_INFLUXDB_ORG": influx.org,
        "PULSE_INFLUXDB_BUCKET": "pulse",
    }
    introduced(one, **settings)
    reference = programs.find("telegraf") is not None
    if reference:
        backlog.make_session(broker, "telegraf", FILTER)
    own, theirs = [], []
    for number in range(ROUNDS):
        backlog.fill(broker, MESSAGES, number, ROUNDS)
        has = backlog.Counted(influx, "pulse", "heartbeat", MESSAGES)
        own.append(drained(one, MESSAGES, has, **settings)[1])
        if reference:
            theirs.append(telegraf(tmp_path / f"telegraf-{number}", broker, influx, MESSAGES))
    print(f"\n{MESSAGES:,} heartbeats of {DEVICES} devices into InfluxDB, {ROUNDS} rounds")
    line("pulse collector", own)
    if not reference:
        print(f"  telegraf is not here: {programs.HOW_TO_GET['telegraf']}")
        return
    line("telegraf", theirs)
    rate = backlog.share(own, theirs)
    work = backlog.median(own).per_cpu_s / backlog.median(theirs).per_cpu_s
    print(f"  ratio {rate:.2f}, per CPU-second {work:.2f}")
    assert rate >= 2
    assert work >= 4

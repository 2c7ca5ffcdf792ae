"""The collector killed while records come: all are stored once, and who reads up to the mark misses none."""

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.collector.outlet import Outlet
from tests.collector.station import Field, Station, field
from tests.collector.test_mqtt import eventually
from tests.faults.house import SECOND_US, collecting, look, records

NAMES = [f"cam-{number:02}" for number in range(8)]
EVERY_S = 0.05


@contextmanager
def telling(devices: Field, station: Station) -> Iterator[list[int]]:
    """All devices tell records all the time; the numbers of those that the broker took."""
    taken: list[int] = []
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.wait(EVERY_S):
            number += 1
            body = {"ts": station.clock.now_us() / SECOND_US, "recording": True, "bitrate_kbps": number}
            topic = f"community/xinjinglou/camera/{NAMES[number % len(NAMES)]}/data/video_status"
            devices.say(topic, json.dumps(body).encode())
            taken.append(number)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield taken
    finally:
        stop.set()
        thread.join()


def killed(station: Station, times: int) -> None:
    seed = int(os.environ.get("PULSE_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"PULSE_TEST_SEED={seed}")
    dice = random.Random(seed)
    station.register(*NAMES)
    outlet = Outlet(station.db, station.store)
    with collecting(station) as collector:
        eventually(station.listening, "the first start", 30)
        assert collector.end() == 0
    with field(station.url) as devices, telling(devices, station) as taken:
        for _ in range(times):
            with collecting(station) as collector:
                until_s = time.monotonic() + dice.uniform(1.0, 4.0)
                while time.monotonic() < until_s:
                    outlet.look()
                    time.sleep(0.02)
                assert collector.process.poll() is None, collector.said()
                collector.kill()
    with collecting(station) as collector:
        eventually(lambda: len(records(station)) >= len(taken), "everything", 60)
        eventually(lambda: look(station)["messages"] == 0, "an empty spool", 30)

        def has_all() -> bool:
            outlet.look()
            return len(outlet.read) >= len(taken)

        eventually(has_all, "the mark", 30)
        assert collector.end() == 0
    assert sorted(json.loads(record.body)["bitrate_kbps"] for record in records(station)) == taken
    assert outlet.read == records(station)
    assert station.quarantined() == {}


def test_a_collector_killed_twice_loses_and_doubles_no_record(station: Station) -> None:
    killed(station, 2)


@pytest.mark.slow
def test_a_collector_killed_twenty_times_loses_and_doubles_no_record(station: Station) -> None:
    killed(station, 20)

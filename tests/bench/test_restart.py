"""How long the collector takes to have every device's state again after a restart."""

import threading
import time
from pathlib import Path

import pytest

from collector.service import Collector
from pulse.settings import Broker
from tests.collector.station import Station, field
from tests.collector.test_mqtt import eventually
from tests.faults.house import timed
from tests.servers import mosquitto

DEVICES = 826
MOST_S = 1.0
"""The promise for the demo fleet, with the snapshot and without."""


@pytest.mark.parametrize("lost", [False, True], ids=["from the snapshot", "from what is stored"])
def test_826_devices_are_restored_in_less_than_a_second(tmp_path: Path, lost: bool) -> None:
    names = [f"dev-{number:03}" for number in range(DEVICES)]
    with mosquitto(tmp_path / "broker") as broker:
        station = Station(tmp_path / "many", broker.url, timeout_s=60.0)
        station.register(*names)
        with station.collecting(), field(station.url) as devices:
            eventually(station.listening, "listening")
            devices.beats(names, timed(station, 1))
            eventually(lambda: all(station.state(name) == "online" for name in names), "online", 30)
        if lost:
            for path in station.settings.data_dir.glob("spool.db*"):
                path.unlink()
        collector = Collector(station.settings, Broker(station.url), station.db, station.store, station.clock)
        began = time.monotonic()
        assert collector.keeper.prepare(threading.Event())
        took_s = time.monotonic() - began
        source = "what is stored" if lost else "the snapshot"
        print(f"\n{DEVICES} devices restored from {source}: {took_s:.3f} s")
        assert {collector.keeper.state_of(name) for name in names} == {"online"}
        assert took_s < MOST_S
        collector.spool.close()

"""A broker and a station for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.station import Station
from tests.servers import RunningBroker, mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
def station(tmp_path: Path, broker: RunningBroker) -> Station:
    station = Station(tmp_path / "data", broker.url)
    station.register("cam-1", "cam-2")
    return station

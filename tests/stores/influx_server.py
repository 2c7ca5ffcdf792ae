"""One InfluxDB for a whole test session, as a fixture to be imported."""

from collections.abc import Iterator

import pytest

from tests import servers


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningInflux]:
    with servers.influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server

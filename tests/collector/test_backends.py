"""The collector over an InfluxDB and a PostgreSQL: the same as over files."""

from pathlib import Path

from pulse.ledger.model import FOREVER
from pulse.settings import Settings
from pulse.stores.opening import open_store
from tests.collector.station import Station, field
from tests.collector.test_faults import assert_replay_agrees, timed
from tests.collector.test_mqtt import eventually
from tests.servers import influxd, mosquitto, postgres


def test_devices_become_online_and_offline_over_influxdb_and_postgresql(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path / "mosquitto") as broker,
        influxd(tmp_path / "influx") as influx,
        postgres(tmp_path / "postgres") as database,
    ):
        station = Station(
            tmp_path / "data",
            broker.url,
            database_url=database.fresh_database(),
            influxdb_url=influx.url,
            influxdb_token=influx.token,
            influxdb_org=influx.org,
            influxdb_bucket="collector",
        )
        assert isinstance(station.settings, Settings)
        station.store = open_store(station.settings)
        station.register("cam-1", "cam-2")
        with field(broker.url) as devices:
            with station.collecting():
                eventually(station.listening, "listening")
                devices.beat("cam-1", timed(station, 1))
                eventually(lambda: station.state("cam-1") == "online", "online")
            devices.beat("cam-1", timed(station, 2))
            with station.collecting() as collector:
                eventually(station.listening, "listening again")
                devices.beat("cam-1", timed(station, 3))
                eventually(lambda: station.state("cam-1") == "offline", "offline", 10)
                eventually(lambda: collector.spool.depth().messages == 0, "everything in InfluxDB")
        found = station.store.read_messages(0, FOREVER // 4, device="cam-1")
        assert sorted((m.seq or 0, m.queued) for m in found) == [(1, False), (2, True), (3, False)]
        assert_replay_agrees(station, "cam-1")
        station.store.close()
        station.db.close()

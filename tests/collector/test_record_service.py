"""Records through the whole collector on a real broker: store, mark, quarantine, catalogue."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pulse.ledger.model import FOREVER
from pulse.messages import Record
from pulse.registry.model import DeviceRecord, Kind
from pulse.sharing.catalogue import Version
from pulse.stores.relational import catalogue, quarantine, recordmark, registry
from pulse.stores.relational.recordmark import RecordMark
from tests.collector.scraping import own
from tests.collector.station import Station, field
from tests.collector.test_faults import moody
from tests.collector.test_mqtt import eventually
from tests.servers import RunningBroker, mosquitto

GAS = "community/xinjinglou/gas_alarm/gas-1/data/gas_reading"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
def station(tmp_path: Path, broker: RunningBroker) -> Station:
    station = Station(tmp_path / "data", broker.url)
    station.register("cam-1")
    with station.db.write() as connection:
        now_us = station.clock.now_us()
        registry.put_kinds(connection, [Kind("gas_alarm", "可燃气体报警器", "Gas alarm", 30, 90)], now_us)
        registry.put_devices(
            connection, [DeviceRecord("gas-1", "xinjinglou", "gas_alarm", commissioned_us=0)], now_us
        )
        catalogue.seed(connection, now_us)
    return station


def stored(station: Station) -> list[Record]:
    return station.store.read_records(0, FOREVER, since_us=0, limit=10_000)


def mark(station: Station) -> RecordMark | None:
    with station.db.read() as connection:
        return recordmark.read(connection)


def reading(station: Station, number: int, **members: Any) -> bytes:
    """A reading that its number tells from others."""
    ts = station.clock.now_us() // 1000
    return json.dumps({"ts": ts, "lel_pct": number / 100, "alarm": "none", **members}).encode()


def numbers(station: Station) -> list[int]:
    return [round(100 * json.loads(record.body)["lel_pct"]) for record in stored(station)]


def test_a_record_is_stored_and_the_mark_passes_it(station: Station) -> None:
    began_us = station.clock.now_us()
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        body = reading(station, 40)
        devices.say(GAS, body)
        eventually(lambda: len(stored(station)) == 1, "the record")
        (record,) = stored(station)
        assert (record.device, record.community, record.kind) == ("gas-1", "xinjinglou", "gas_alarm")
        assert (record.data_kind, record.body, record.queued) == ("gas_reading", body, False)
        assert record.at_us == record.measured_us
        eventually(lambda: (mark(station) or RecordMark(0, 0)).order >= record.order, "the mark")
        found = mark(station)
        assert found is not None
        assert found.observed_us > began_us
        # Time goes on although nothing comes: nothing happened until then is known.
        eventually(lambda: (mark(station) or found).observed_us > record.observed_us + 1_500_000, "time")
    assert station.quarantined() == {}
    assert station.state("gas-1") != "online"


def test_what_does_not_fit_is_in_quarantine_with_the_reason(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        before = own()
        devices.say(GAS, reading(station, 1))
        devices.say(GAS, b'{"lel_pct":120,"alarm":"none"}')
        devices.say(GAS.replace("gas_reading", "weather"), b"{}")
        devices.say(GAS.replace("gas_alarm/gas-1", "camera/cam-1"), b"{}")
        devices.say(GAS.replace("gas-1", "gas-9"), b"{}")
        devices.say(GAS.replace("xinjinglou", "elsewhere"), b"{}")
        expected = {
            "wrong_schema": 1,
            "unknown_data_kind": 1,
            "wrong_source": 1,
            "unregistered": 1,
            "wrong_place": 1,
        }
        eventually(lambda: station.quarantined() == expected, "the quarantine")
        eventually(lambda: numbers(station) == [1], "the good one")
        with station.db.read() as connection:
            ((_, wrong),) = quarantine.recent(connection, 10, "wrong_schema")
        assert wrong.detail == "lel_pct: 120 is greater than the maximum of 100"
        assert wrong.topic == GAS

        def gained(name: str) -> float:
            return own().get(name, 0) - before.get(name, 0)

        assert gained("pulse_records_received_total") == 6
        assert gained("pulse_records_accepted_total") == gained("pulse_records_stored_total") == 1
        assert gained('pulse_records_quarantined_total{reason="wrong_schema"}') == 1
        assert gained("pulse_messages_received_total") == 0
        assert gained('pulse_messages_quarantined_total{reason="wrong_schema"}') == 0


def test_a_changed_catalogue_counts_without_a_restart(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.say(GAS, reading(station, 1, room="kitchen"))
        eventually(lambda: station.quarantined() == {"wrong_schema": 1}, "the refusal")
        with station.db.write() as connection:
            now_us = station.clock.now_us()
            kind = catalogue.load(connection).in_force(now_us)["gas_reading"]
            looser = msgspec.structs.replace(kind, schema={"type": "object"})
            catalogue.append(connection, [Version("gas_reading", now_us, now_us, looser)])

        def accepted() -> bool:
            devices.say(GAS, reading(station, 2, room="kitchen"))
            return 2 in numbers(station)

        eventually(accepted, "a record of the new form", 20)


def test_records_of_a_gap_and_of_a_crash_come_through_once(station: Station) -> None:
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.say(GAS, reading(station, 1))
        eventually(lambda: numbers(station) == [1], "the first")
    with field(station.url) as devices:
        timed = reading(station, 2)
        devices.say(GAS, timed)
        devices.say(GAS, timed)
        devices.say(GAS, b'{"lel_pct":0.03,"alarm":"none"}')
    with station.collecting(), field(station.url) as devices:
        eventually(lambda: numbers(station) == [1, 2, 3], "the backlog", 20)
        devices.say(GAS, timed)
        eventually(station.listening, "listening")
        devices.say(GAS, reading(station, 4))
        eventually(lambda: numbers(station) == [1, 2, 3, 4], "the last")
    second, third = stored(station)[1:3]
    assert (second.queued, second.at_us) == (True, second.measured_us)
    assert (third.queued, third.at_us) == (True, None)


def test_while_the_store_is_away_the_mark_stands_and_nothing_is_lost(station: Station) -> None:
    store = moody(station)
    with station.collecting(), field(station.url) as devices:
        eventually(station.listening, "listening")
        devices.say(GAS, reading(station, 1))
        eventually(lambda: numbers(station) == [1], "the first")
        store.away = True
        devices.say(GAS, reading(station, 2))
        eventually(lambda: own()["pulse_spool_messages"] == 1, "one that waits")
        through_us = station.through_us()
        eventually(lambda: station.through_us() > through_us + 2_500_000, "time", 20)
        found = mark(station)
        assert found is not None
        store.away = False
        eventually(lambda: numbers(station) == [1, 2], "the second", 30)
        waited = stored(station)[1]
        assert found.order < waited.order
        assert found.observed_us <= waited.observed_us
        eventually(lambda: (mark(station) or found).order >= waited.order, "the mark")

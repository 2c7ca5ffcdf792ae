"""Faults 10 to 20 of what devices send, through the real broker into one real `pulse collector`."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulse.commands.registry import exported, imported
from pulse.errors import BadInput
from pulse.settings import Broker
from pulse.stores.relational import registry
from tests.collector.station import Field, Station, field, topic
from tests.collector.test_mqtt import eventually
from tests.faults.house import SECOND_US, collecting, seqs, states_said, stored, timed
from tests.servers import mosquitto

HOUR_S = 3600.0


class Town:
    """A station with its collector running and a client that speaks for devices."""

    def __init__(self, station: Station, devices: Field) -> None:
        self.station = station
        self.devices = devices
        self._last = 0

    def device(self, **members: object) -> str:
        """A device of its own for a test."""
        self._last += 1
        name = f"own-{self._last}"
        self.station.register(name, **members)
        self.devices.beat(name, timed(self.station, 0))

        def known() -> bool:
            return self.station.state(name) == "online"

        eventually(known, "the new device", 20)
        return name

    def refused(self, *payloads: bytes, where: str | None = None) -> dict[str, int]:
        """What is in quarantine after these, more than before; a good beat behind them arrives."""
        name = self.device()
        before = self.station.quarantined()
        for payload in payloads:
            self.devices.say(where or topic(name), payload)
        self.devices.beat(name, timed(self.station, 1))
        eventually(lambda: self.station.has_taken(name, 1), "the beat behind", 20)
        after = self.station.quarantined()
        return {
            reason: count - before.get(reason, 0)
            for reason, count in after.items()
            if count > before.get(reason, 0)
        }


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("town")
    with mosquitto(folder / "mosquitto") as broker:
        station = Station(folder / "data", broker.url, timeout_s=30.0)
        with collecting(station), field(station.url) as devices:
            eventually(station.listening, "listening", 30)
            yield Town(station, devices)


def test_fault_10_a_device_hours_off_is_online_by_what_is_heard(town: Town) -> None:
    name = town.device()
    for seq, ago_s in ((1, 8 * HOUR_S), (2, -8 * HOUR_S), (3, 0.0)):
        town.devices.beat(name, timed(town.station, seq, ago_s))
    eventually(lambda: town.station.has_taken(name, 3), "all taken", 20)
    assert seqs(town.station, name) == [0, 1, 2, 3]
    assert states_said(town.station, name) == ["online"]
    assert len(town.station.runs(name)) == 1


def test_fault_11_the_same_message_again_and_again_is_one(town: Town) -> None:
    name = town.device()
    payload = timed(town.station, 1)
    for _ in range(20):
        town.devices.beat(name, payload)
    town.devices.beat(name, timed(town.station, 2))
    eventually(lambda: 2 in seqs(town.station, name), "the last", 20)
    assert seqs(town.station, name) == [0, 1, 2]


def test_fault_12_late_messages_correct_the_past_and_never_the_present(town: Town) -> None:
    name = town.device(max_lateness_s=HOUR_S)
    now_us = town.station.clock.now_us()
    for seq, ago_s in ((1, 600.0), (2, 300.0), (3, 900.0)):
        town.devices.beat(name, timed(town.station, seq, ago_s))
    eventually(lambda: len(town.station.runs(name)) >= 4, "a run for each time", 20)
    assert states_said(town.station, name) == ["online"]
    assert [round((now_us - run.start) / SECOND_US, -1) for run in town.station.runs(name)][:3] == [
        900,
        600,
        300,
    ]


def test_fault_13_an_oversized_payload_is_set_aside(town: Town) -> None:
    assert town.refused(b"x" * 70_000, b'{"a":"' + b"x" * 70_000 + b'"}') == {"oversized": 2}


def test_fault_14_a_payload_that_is_no_utf_8_is_set_aside(town: Town) -> None:
    assert sum(town.refused(b'{"a":"\xff\xfe"}', b"\xc3\x28", b"\x80abc").values()) == 3


def test_fault_14_a_topic_that_is_no_utf_8_harms_nobody(town: Town) -> None:
    # Mosquitto itself puts out whoever says this; a broker that passes it on is tried in test_mqtt.
    broker = Broker(town.station.url)
    raw = b"community/xinjinglou/camera/\xff\xfe/heartbeat"
    with socket.create_connection((broker.host, broker.port), timeout=10) as device:
        device.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04evil")
        assert device.recv(4)[3] == 0
        device.sendall(bytes([0x30, 2 + len(raw)]) + len(raw).to_bytes(2, "big") + raw)
        assert town.refused().keys() <= {"not_utf8"}


def test_fault_15_numbers_and_texts_that_are_none_are_set_aside(town: Town) -> None:
    bad = (b'{"a":NaN}', b'{"a":1e999}', b'{"a":-Infinity}', b'{"a":1,"a":2}', b'{"seq":1,"seq":2}')
    assert sum(town.refused(*bad, rb'{"fault":"\ud800"}').values()) == 6


def test_fault_16_huge_integers_and_deep_nesting_are_set_aside(town: Town) -> None:
    deep = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    bad = (b'{"seq":9223372036854775808}', b'{"a":' + b"9" * 5000 + b"}", deep)
    assert sum(town.refused(*bad).values()) == 3


def test_fault_17_a_metric_that_changes_its_type_holds_up_nothing(town: Town) -> None:
    name = town.device()
    for seq, value in enumerate((1, 1.5, True, "warm", None, [1], 2), start=1):
        payload = json.loads(timed(town.station, seq)) | {"temp": value}
        town.devices.beat(name, json.dumps(payload).encode())
    town.devices.beat(name, timed(town.station, 99))
    eventually(lambda: 99 in seqs(town.station, name), "what came after", 20)
    assert {1, 2, 7} <= set(seqs(town.station, name))


@pytest.mark.parametrize(
    "device",
    ["cam-1,kind=x", "cam 1", "cam=1", 'cam"1', "cam\\1", '1")|>drop()', "摄像机"],
)
def test_fault_19_an_id_that_would_be_line_protocol_or_flux_is_refused(town: Town, device: str) -> None:
    before = len(stored(town.station))
    assert sum(town.refused(timed(town.station, 1), where=topic(device)).values()) == 1
    assert device not in {message.device for message in stored(town.station)}
    assert len(stored(town.station)) == before + 2


@pytest.mark.parametrize("device", ["a+b", "#", "a/b", "$SYS", "a\0b", "", "a" * 65])
def test_fault_20_an_id_that_means_something_to_mqtt_cannot_be_registered(
    town: Town, device: str, tmp_path: Path
) -> None:
    file = tmp_path / "devices.csv"
    town.station.register("good-1")
    good = exported(town.station.settings, "devices")
    file.write_text(good.replace("good-1", f'"{device}"'), encoding="utf-8")
    with pytest.raises(BadInput, match=r"1 problem|NUL"):
        imported(town.station.settings, file, "devices", dry_run=False, prefix=False)
    with town.station.db.read() as connection:
        assert device not in {record.id for record in registry.devices(connection)}

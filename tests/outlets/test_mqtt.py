"""Publishing to a department's broker: a real one, with and without anybody who listens."""

import json
import queue
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from pulse import certificates
from pulse.clock import SECOND_US
from pulse.sharing import signing
from pulse.sharing.outlets import Outlet
from pulse.sharing.signing import Request
from tests.outlets.house import House
from tests.servers import RunningBroker, mosquitto

WAIT_S = 10.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


class Subscriber:
    """A department that listens."""

    def __init__(self, broker: RunningBroker, topic: str = "pulse/sharing/#") -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        subscribed: queue.Queue[None] = queue.Queue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "department", protocol=paho.MQTTv5)
        self._client.on_message = lambda _client, _data, message: self.messages.put(message)
        self._client.on_subscribe = lambda *_args: subscribed.put(None)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        self._client.subscribe(topic, qos=1)
        subscribed.get(timeout=WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def subscriber(broker: RunningBroker) -> Iterator[Subscriber]:
    made = Subscriber(broker)
    yield made
    made.close()


def outlet(house: House, url: str, **changes: Any) -> Outlet:
    members: dict[str, Any] = {"id": "gas", "mode": "mqtt", "url": url, "timeout_s": 5.0}
    members |= {"data_kinds": ("gas_reading",)} | changes
    made = house.put(members)
    if not house.keys.path("gas", "ed25519").exists():
        house.keys.make("gas", "ed25519")
        house.keys.make("gas", "hmac-sha256")
    return made


def delivered(house: House, made: Outlet, count: int = 1) -> None:
    house.hear(*(house.record() for _ in range(count)))
    assert house.build(made)
    house.drain(made)


def error_of(house: House) -> str:
    stored = house.deliveries("gas")[0]
    assert (stored.state, house.receipts()) == ("waiting", [])
    assert house.accesses()[-1].outcome == "failed"
    return stored.error or ""


def test_a_subscriber_can_verify_what_it_gets_and_the_acknowledgement_is_the_receipt(
    house: House, broker: RunningBroker, subscriber: Subscriber
) -> None:
    delivered(house, outlet(house, broker.url, signature="ed25519"))
    message = subscriber.messages.get(timeout=WAIT_S)
    assert (message.topic, message.qos) == ("pulse/sharing/gas", 1)
    fields = dict(message.properties.UserProperty)
    assert message.properties.ContentType == fields["content-type"] == "application/json"
    signing.check_digest(fields["content-digest"], message.payload)
    key = signing.public_of(house.keys.signing("gas", "ed25519"))
    found = signing.verify(Request(fields), [key], house.clock.now / SECOND_US, required=signing.MESSAGE)
    assert found.key == key.id
    assert fields["delivery"] == json.loads(message.payload)["delivery"] == "gas-1"
    (receipt,) = house.receipts()
    assert (receipt.delivery, json.loads(receipt.answer)["reason_code"]) == ("gas-1", 0)


def test_a_broker_that_nobody_listens_to_has_nothing(house: House, broker: RunningBroker) -> None:
    made = outlet(house, broker.url)
    delivered(house, made)
    assert "nobody subscribes" in error_of(house)
    subscriber = Subscriber(broker)
    try:
        house.clock.now = house.deliveries("gas")[0].next_us
        assert house.drain(made).received == 1
        assert subscriber.messages.get(timeout=WAIT_S).payload == house.content("gas", 1)
    finally:
        subscriber.close()
    assert [receipt.delivery for receipt in house.receipts()] == ["gas-1"]


def test_many_deliveries_go_over_one_connection_in_their_order(
    house: House, broker: RunningBroker, subscriber: Subscriber
) -> None:
    delivered(house, outlet(house, broker.url, most_records=1), count=5)
    ids = [json.loads(subscriber.messages.get(timeout=WAIT_S).payload)["delivery"] for _ in range(5)]
    assert ids == [receipt.delivery for receipt in house.receipts()] == [f"gas-{n}" for n in range(1, 6)]


def test_a_topic_of_ones_own_is_published_to(house: House, broker: RunningBroker) -> None:
    subscriber = Subscriber(broker, "燃气/in")
    try:
        delivered(house, outlet(house, broker.url, topic="燃气/in", format="csv"))
        message = subscriber.messages.get(timeout=WAIT_S)
    finally:
        subscriber.close()
    assert message.payload.startswith(b"id,data_kind,")
    assert dict(message.properties.UserProperty)["delivery"] == "gas-1"


def test_a_broker_that_is_away_gets_it_when_it_is_back(house: House, tmp_path: Path) -> None:
    with mosquitto(tmp_path / "mosquitto") as broker:
        made = outlet(house, broker.url)
        broker.stop()
        delivered(house, made)
        assert "no connection" in error_of(house)
        broker.start()
        subscriber = Subscriber(broker)
        try:
            house.clock.now = house.deliveries("gas")[0].next_us
            assert house.drain(made).received == 1
        finally:
            subscriber.close()


def test_a_wrong_password_is_said_and_not_shown(house: House, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("", encoding="utf-8")
    with mosquitto(tmp_path / "mosquitto", f"password_file {passwords}") as broker:
        made = outlet(house, broker.url)
        path = house.keys.path("gas", "password")
        path.touch(0o600)
        path.write_text("pulse:hunter2hunter2", encoding="utf-8")
        delivered(house, made)
        assert "refused the connection" in error_of(house)
        assert "hunter2" not in str(house.accesses())


def test_a_broker_that_takes_less_gets_halves(house: House, tmp_path: Path) -> None:
    with mosquitto(tmp_path / "mosquitto", "max_packet_size 6000") as broker:
        subscriber = Subscriber(broker)
        try:
            delivered(house, outlet(house, broker.url), count=20)
        finally:
            subscriber.close()
    states = [stored.state for stored in house.deliveries("gas")]
    assert states[0] == "split"
    assert set(states[1:]) <= {"split", "acknowledged"}
    assert sum(s.records for s in house.deliveries("gas") if s.state == "acknowledged") == 20


def test_a_broker_with_a_certificate_of_another_ca_gets_nothing(house: House, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    folders = {name: tmp_path / name for name in ("theirs", "trusted")}
    for folder in folders.values():
        certificates.make_authority(folder, now)
    pair = certificates.make_server(folders["theirs"], ["127.0.0.1"], now)
    conf = f"certfile {pair.certificate}\nkeyfile {pair.key}\n"
    house.keys.folder.mkdir()
    shutil.copy(folders["trusted"] / "ca.pem", house.keys.path("gas", "ca.pem"))
    with mosquitto(tmp_path / "mosquitto", conf) as broker:
        made = outlet(house, broker.url.replace("mqtt://", "mqtts://"))
        delivered(house, made)
        assert "a CA that is trusted" in error_of(house)
        shutil.copy(folders["theirs"] / "ca.pem", house.keys.path("gas", "ca.pem"))
        house.clock.now = house.deliveries("gas")[0].next_us
        house.drain(made)
        assert "nobody subscribes" in error_of(house)

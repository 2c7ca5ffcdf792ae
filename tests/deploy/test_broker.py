"""The shipped broker configuration, run by the real mosquitto: nobody forges, nobody listens in."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from collector.mqtt import DROPPED_TOPIC, UPTIME_TOPIC
from pulse.broker import passwords
from pulse.certificates import make_server
from pulse.tls import client_context
from tests import servers
from tests.broker.clients import Client, until
from tests.deploy.broker import SHIPPED, ComposeBroker, compose_broker

COLLECTOR = "collectors-password"
READER = "readers-password"
OWN = "community/xinjinglou/camera/camera-001/"
OTHERS = "community/xinjinglou/camera/camera-002/"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeBroker]:
    folder = tmp_path_factory.mktemp("compose-broker")
    with compose_broker(folder, MQTT_COLLECTOR_PASSWORD=COLLECTOR, MQTT_READER_PASSWORD=READER) as running:
        yield running


@pytest.fixture(scope="module")
def device(broker: ComposeBroker) -> str:
    """The password of the device `camera-001`."""
    return broker.issue("camera-001")


@pytest.fixture
def collector(broker: ComposeBroker) -> Iterator[Client]:
    with Client(
        broker.port, "pulse", user="_collector", password=COLLECTOR, protocol=mqtt.MQTTv5
    ) as connected:
        assert connected.connected
        connected.subscribe("community/#")
        yield connected


def _device(broker: ComposeBroker, password: str, **options: object) -> Client:
    return Client(broker.port, "cam", user="camera-001", password=password, protocol=mqtt.MQTTv5, **options)  # type: ignore[arg-type]


def test_a_device_writes_beneath_its_own_id(broker: ComposeBroker, device: str, collector: Client) -> None:
    with _device(broker, device) as camera:
        assert not camera.publish(OWN + "heartbeat", b"{}")[0].is_failure
        assert not camera.publish(OWN + "status", b"online", retain=True)[0].is_failure
        assert not camera.publish(OWN + "data/video_status", b"{}")[0].is_failure
        assert collector.got(OWN + "heartbeat")
        assert collector.got(OWN + "data/video_status")


@pytest.mark.parametrize(
    "topic",
    [
        *(OTHERS + "heartbeat", "community/camera-001/heartbeat", "pulse/indicators/online-rate"),
        *("pulse/canary", "community/xinjinglou/camera/camera-0011/heartbeat", "anything"),
    ],
)
def test_a_device_writes_nowhere_else(
    broker: ComposeBroker, device: str, collector: Client, topic: str
) -> None:
    with _device(broker, device) as camera:
        (answer,) = camera.publish(topic, b"{}")
        assert answer.getName() == "Not authorized"
        # Messages of one client keep their order, so what was refused would have come first.
        camera.publish(OWN + "heartbeat", b"after")
        assert until(lambda: any(payload == b"after" for _, payload, _ in collector.received))
        assert topic not in [name for name, _, _ in collector.received]


def test_a_device_reads_nothing(broker: ComposeBroker, device: str, collector: Client) -> None:
    with _device(broker, device) as camera:
        camera.subscribe("#")
        camera.publish(OWN + "heartbeat", b"{}")
        collector.publish("pulse/indicators/online-rate", b"{}", retain=True)
        assert collector.got(OWN + "heartbeat")
        # Whatever it was let read would be on its way before the answer to one more publication.
        camera.publish(OWN + "heartbeat", b"{}")
        assert camera.received == []


def test_a_last_will_on_anothers_topic_is_refused(
    broker: ComposeBroker, device: str, collector: Client
) -> None:
    forger = _device(broker, device, will=(OTHERS + "status", b"offline"))
    if forger.connected:
        forger.cut()
    own = Client(
        broker.port,
        "cam-2",
        user="camera-001",
        password=device,
        will=(OWN + "status", b"offline"),
        protocol=mqtt.MQTTv5,
    )
    own.cut()
    assert until(lambda: (OWN + "status", b"offline", False) in collector.received)
    assert OTHERS + "status" not in [topic for topic, _, _ in collector.received]


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (None, None),
        ("camera-001", None),
        ("camera-001", "guess"),
        ("camera-002", COLLECTOR),
        ("_collector", ""),
        ("_collector", READER),
    ],
)
def test_strangers_and_wrong_passwords_are_refused(
    broker: ComposeBroker, device: str, user: str | None, password: str | None
) -> None:
    client = Client(broker.port, "stranger", user=user, password=password, protocol=mqtt.MQTTv5)
    assert not client.connected
    assert client.refused == "Not authorized"


def test_the_collector_publishes_results_and_hears_its_canaries(
    broker: ComposeBroker, collector: Client
) -> None:
    collector.subscribe("pulse/#")
    assert not collector.publish("pulse/canary/1", b"1")[0].is_failure
    assert collector.got("pulse/canary/1")
    assert collector.publish(OWN + "heartbeat", b"{}")[0].is_failure


def test_the_collector_sees_that_the_broker_dropped_or_restarted(
    broker: ComposeBroker, collector: Client
) -> None:
    for topic in (DROPPED_TOPIC, UPTIME_TOPIC):
        collector.subscribe(topic)
        assert collector.got(topic, 15)


def test_a_reader_sees_results_only(broker: ComposeBroker, device: str, collector: Client) -> None:
    with (
        Client(broker.port, "wall", user="_reader", password=READER, protocol=mqtt.MQTTv5) as reader,
        _device(broker, device) as camera,
    ):
        reader.subscribe("#")
        camera.publish(OWN + "heartbeat", b"{}")
        collector.publish("pulse/indicators/online-rate", b"{}")
        assert reader.got("pulse/indicators/online-rate")
        assert {topic.split("/")[0] for topic, _, _ in reader.received} == {"pulse"}
        assert reader.publish("pulse/indicators/online-rate", b"forged")[0].is_failure


def test_the_health_check_passes_and_notices_a_frozen_broker(broker: ComposeBroker) -> None:
    assert broker.script("healthy.sh").returncode == 0
    broker.server.pause()
    try:
        assert broker.script("healthy.sh").returncode != 0
    finally:
        broker.server.resume()


def test_a_revoked_device_is_put_out_and_others_stay(broker: ComposeBroker, collector: Client) -> None:
    kept, revoked = broker.issue("camera-010"), broker.issue("camera-011")
    with (
        Client(broker.port, "cam-10", user="camera-010", password=kept) as stays,
        Client(broker.port, "cam-11", user="camera-011", password=revoked) as goes,
    ):
        assert stays.connected
        assert goes.connected
        broker.pulse("revoke", "camera-011")
        assert until(lambda: goes.lost)
        assert Client(broker.port, "cam-11b", user="camera-011", password=revoked).refused
        stays.publish("community/xinjinglou/camera/camera-010/heartbeat", b"{}")
        assert not stays.lost
        assert not collector.lost


def test_a_shared_file_cannot_bring_in_service_users(broker: ComposeBroker) -> None:
    before = broker.users
    shared = broker.root / "devices" / "passwords"
    shared.write_text(
        passwords.rendered({"_collector": passwords.hashed("x"), "camera-020": passwords.hashed("y")})
    )
    assert until(lambda: "camera-020" in broker.users)
    assert broker.users["_collector"] == before["_collector"]


def test_devices_and_queues_survive_a_restart(tmp_path: Path) -> None:
    with compose_broker(tmp_path, MQTT_COLLECTOR_PASSWORD=COLLECTOR) as broker:
        password = broker.issue("camera-001")
        away = Client(broker.port, "pulse", user="_collector", password=COLLECTOR, clean=False)
        away.subscribe("community/#")
        away.close()
        with _device(broker, password) as camera:
            for number in range(2000):
                camera.paho.publish(OWN + "heartbeat", str(number).encode(), qos=1)
            camera.publish(OWN + "heartbeat", b"2000")
        broker.server.restart()
        with Client(broker.port, "pulse", user="_collector", password=COLLECTOR, clean=False) as back:
            assert until(lambda: len(back.received) == 2001)
        with _device(broker, password) as camera:
            assert camera.connected


def test_a_service_user_goes_with_its_password(tmp_path: Path) -> None:
    with compose_broker(tmp_path, MQTT_COLLECTOR_PASSWORD=COLLECTOR, MQTT_READER_PASSWORD=READER) as broker:
        assert sorted(broker.users) == ["_collector", "_health", "_reader"]
        del broker.environment["MQTT_READER_PASSWORD"]
        broker.server.restart()
        assert sorted(broker.users) == ["_collector", "_health"]


def test_a_renewed_certificate_is_taken_in_without_a_restart(
    broker: ComposeBroker, collector: Client
) -> None:
    folder = broker.root / "certificates"
    context = client_context(folder / "ca.pem")
    before = _serial(broker, context)
    make_server(folder, ["127.0.0.1", "localhost"], datetime.now(UTC), replace=True)
    assert until(lambda: _serial(broker, context) != before)
    assert not collector.lost


def _serial(broker: ComposeBroker, context: ssl.SSLContext) -> object:
    """The serial number of the certificate that the broker shows; it is verified on the way."""
    with (
        socket.create_connection(("127.0.0.1", broker.tls_port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        shown = wrapped.getpeercert()
    assert shown is not None
    return shown["serialNumber"]


def test_without_the_collectors_password_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="set MQTT_COLLECTOR_PASSWORD"), compose_broker(tmp_path):
        pass


def test_the_queue_settings_are_those_of_the_tests_and_of_our_own_broker() -> None:
    shipped = (SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
    for line in servers.QUEUE_CONF.splitlines():
        assert line in shipped.splitlines()

"""TLS towards the broker fails closed, in words, in the collector and in the simulators."""

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as mqtt
import pytest

from pulse.certificates import make_authority, make_device, make_server
from pulse.errors import SettingsError
from pulse.settings import Broker
from pulse.tls import client_context
from simulators import runner
from simulators.fleet import fleet
from simulators.scenario import DEFAULT
from tests import servers
from tests.broker.clients import Client, until
from tests.collector.test_mqtt import Recorder
from tests.collector.test_mqtt import running as collecting

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=600)


class Secured(NamedTuple):
    """A mosquitto with a plain and a TLS listener, and its CA's folder."""

    broker: servers.RunningBroker
    port: int
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def url(self) -> str:
        return f"mqtts://127.0.0.1:{self.port}"


@contextlib.contextmanager
def secured(
    folder: Path, *, host: str = "127.0.0.1", made: datetime = NOW, more: Callable[[Path], str] | None = None
) -> Iterator[Secured]:
    certificates, port = folder / "certificates", servers.free_port()
    make_authority(certificates, made)
    make_server(certificates, [host], made)
    lines = [
        f"listener {port} 127.0.0.1",
        *(f"certfile {certificates}/server.pem", f"keyfile {certificates}/server-key.pem"),
        "allow_anonymous true",
    ]
    if more is not None:
        lines.append(more(certificates))
    with servers.mosquitto(folder / "mosquitto", "\n".join(lines)) as broker:
        yield Secured(broker, port, certificates)


class Refusals(logging.Handler):
    """The reasons for which connections were refused, from the logs."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said: object = record.msg
        if isinstance(said, dict) and said["event"] == "connection_refused":
            self.reasons.append(str(said["reason"]))


def _refusal(url: str, ca: Path) -> str:
    """Why the collector did not come in."""
    recorder, refusals = Recorder(), Refusals()
    logging.getLogger().addHandler(refusals)
    try:
        with collecting(url, recorder, ca_file=ca):
            assert until(lambda: bool(refusals.reasons))
            assert recorder.sessions == []
    finally:
        logging.getLogger().removeHandler(refusals)
    return refusals.reasons[0]


def _trouble(url: str, ca: Path) -> str:
    """Why the simulators did not come in."""
    stop = threading.Event()
    troubles: list[str] = []

    def heard(progress: runner.Progress) -> None:
        assert progress.connected == 0
        if progress.trouble:
            troubles.append(progress.trouble)
            stop.set()

    ended = runner.run(Broker(url), DEFAULT, seed=1, devices=7, stop=stop, ca_file=ca, report=heard)
    assert ended.acknowledged == 0
    return troubles[0]


def test_the_right_ca_and_host_let_the_collector_and_the_simulators_in(tmp_path: Path) -> None:
    recorder, stop = Recorder(), threading.Event()
    with secured(tmp_path) as tls, collecting(tls.url, recorder, ca_file=tls.ca):
        assert until(lambda: recorder.joined > 0)

        def heard(progress: runner.Progress) -> None:
            if progress.connected == progress.wanted and progress.connected:
                stop.set()

        runner.run(Broker(tls.url), DEFAULT, seed=1, devices=7, stop=stop, ca_file=tls.ca, report=heard)
        assert until(lambda: bool(recorder.messages))


@pytest.mark.parametrize("side", [_refusal, _trouble])
class TestFault30FailsClosed:
    """Every way to be wrong ends without a connection and names the setting."""

    def test_another_ca(self, tmp_path: Path, side: Callable[[str, Path], str]) -> None:
        make_authority(tmp_path / "other", NOW)
        with secured(tmp_path) as tls:
            said = side(tls.url, tmp_path / "other" / "ca.pem")
        assert "PULSE_MQTT_CA_FILE" in said
        assert "does not come from the CA that is trusted" in said

    def test_another_host(self, tmp_path: Path, side: Callable[[str, Path], str]) -> None:
        with secured(tmp_path, host="mqtt.example.org") as tls:
            said = side(tls.url, tls.ca)
        assert "PULSE_MQTT_CA_FILE" in said
        assert "for another host" in said

    def test_an_expired_certificate(self, tmp_path: Path, side: Callable[[str, Path], str]) -> None:
        with secured(tmp_path, made=LONG_AGO) as tls:
            said = side(tls.url, tls.ca)
        assert "PULSE_MQTT_CA_FILE" in said
        assert "has expired" in said

    def test_a_port_without_tls(self, tmp_path: Path, side: Callable[[str, Path], str]) -> None:
        with secured(tmp_path) as tls:
            said = side(f"mqtts://127.0.0.1:{tls.broker.port}", tls.ca)
        assert "PULSE_MQTT_CA_FILE" in said
        assert "no TLS on this port" in said


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing\n")
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(SettingsError, match=rf"PULSE_MQTT_CA_FILE: .*{path.name}"):
            client_context(path)


def test_a_client_certificate_is_the_devices_name(tmp_path: Path) -> None:
    """With `use_identity_as_username` the common name alone decides who writes where."""

    def more(certificates: Path) -> str:
        rules = tmp_path / "acl"
        rules.write_text("topic read #\npattern write community/+/+/%u/#\n")
        rules.chmod(0o600)
        return (
            f"cafile {certificates}/ca.pem\nrequire_certificate true\nuse_identity_as_username true\n"
            f"acl_file {rules}"
        )

    own, others = "community/c/camera/cam-1/heartbeat", "community/c/camera/cam-2/heartbeat"
    with secured(tmp_path, more=more) as tls, Client(tls.broker.port, "hears") as hears:
        hears.subscribe("community/#")
        pair = make_device(tls.folder, "cam-1", NOW)
        context = client_context(tls.ca, certificate=pair.certificate, key=pair.key)
        with Client(tls.port, "x", user="cam-2", password="x", tls=context, protocol=mqtt.MQTTv5) as device:
            assert device.publish(others, b"forged")[0].is_failure
            assert not device.publish(own, b"own")[0].is_failure
        assert hears.got(own)
        assert [topic for topic, _, _ in hears.received] == [own]
        assert _answer(tls, client_context(tls.ca, certificate=pair.certificate, key=pair.key)) == b"\x20\x02"
        assert _answer(tls, client_context(tls.ca)) == b""


def _answer(tls: Secured, context: ssl.SSLContext) -> bytes:
    """The broker's first two bytes to a client's greeting; nothing where it hangs up."""
    with socket.create_connection(("127.0.0.1", tls.port), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
                wrapped.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")
                return wrapped.recv(2)
        except (ssl.SSLError, ConnectionError):
            # In TLS 1.3 the refusal comes with the first answer, not in the handshake.
            return b""


def test_simulated_devices_take_certificates_of_their_own(tmp_path: Path) -> None:
    def more(certificates: Path) -> str:
        return f"cafile {certificates}/ca.pem\nrequire_certificate true\nuse_identity_as_username true"

    stop = threading.Event()
    with secured(tmp_path, more=more) as tls:
        for device in fleet(1, 7, DEFAULT).devices:
            make_device(tls.folder, device.id, NOW)

        def heard(progress: runner.Progress) -> None:
            if progress.acknowledged:
                stop.set()

        ended = runner.run(
            Broker(tls.url),
            DEFAULT,
            seed=1,
            devices=7,
            stop=stop,
            ca_file=tls.ca,
            certificates=tls.folder / "devices",
            report=heard,
        )
        assert ended.acknowledged
        with pytest.raises(SettingsError, match="is no certificate with its key"):
            runner.run(
                Broker(tls.url),
                DEFAULT,
                seed=1,
                devices=7,
                stop=stop,
                ca_file=tls.ca,
                certificates=tmp_path,
            )

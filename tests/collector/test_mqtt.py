"""The connection to the broker: sessions, acknowledgements, versions, takeovers, and what must not end it."""

import asyncio
import random
import resource
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import amqtt.broker
import numpy as np
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from collector.backoff import LONGEST_S, TAKEN_OVER_S, Backoff
from collector.client import V5, V311
from collector.mqtt import Link
from collector.outbox import Outbox, Outgoing
from collector.received import Publishes, Received
from pulse.clock import SystemClock
from pulse.settings import Broker
from tests import programs
from tests.collector.fakebroker import FakeBroker, Peer
from tests.servers import RunningBroker, free_port, mosquitto

BEAT = "community/xinjinglou/camera/cam-1/heartbeat"
WILL = "community/xinjinglou/camera/cam-1/status"
PATIENCE_S = 20.0


@pytest.fixture(params=["batch", "paho"], autouse=True)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything here holds for both readers."""
    monkeypatch.setattr(sys.modules[__name__], "READER", request.param)
    return str(request.param)


READER = "batch"


def eventually(condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until the condition holds, and fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s} s"
        time.sleep(0.005)


class Recorder:
    """A handler that keeps what it is told and acknowledges at once, or not at all."""

    def __init__(self) -> None:
        self.link: Link
        self.messages: list[Received] = []
        self.sessions: list[bool] = []
        self.joined = 0
        self.ended = 0
        self.acknowledging = True
        self.failing = False
        self.to_acknowledge: deque[tuple[int, int]] = deque()
        """Connections and numbers for the next turn: only the link's own thread may acknowledge."""

    def connected(self, session_present: bool) -> None:
        self.sessions.append(session_present)

    def subscribed(self) -> None:
        self.joined += 1

    def received(self, publishes: Publishes) -> None:
        if self.failing:
            self.failing = False
            raise ZeroDivisionError
        for message in map(publishes.one, range(len(publishes))):
            self.messages.append(message)
            if self.acknowledging and message.qos:
                self.link.acknowledge(self.link.epoch, np.array([message.mid]))

    def disconnected(self) -> None:
        self.ended += 1

    def turn(self, quiet: bool) -> float:
        while self.to_acknowledge:
            epoch, mid = self.to_acknowledge.popleft()
            self.link.acknowledge(epoch, np.array([mid]))
        return 0.05

    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages if message.topic.startswith(b"community/")]


@contextmanager
def running(
    url: str,
    recorder: Recorder,
    client_id: str = "pulse-test",
    *,
    protocol: MQTTProtocolVersion = V5,
    ca_file: Path | None = None,
) -> Iterator[Link]:
    link = Link(
        Broker(url),
        client_id,
        recorder,
        SystemClock(),
        ca_file=ca_file,
        mqtt_5=protocol == V5,
        batch_reader=READER == "batch",
        dice=random.Random(1),
    )
    recorder.link = link
    stop = threading.Event()
    thread = threading.Thread(target=link.run, args=(stop,))
    thread.start()
    try:
        yield link
    finally:
        stop.set()
        link.wake()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def device(broker: RunningBroker, client_id: str = "cam-1", **will: str) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, client_id)
    if will:
        client.will_set(will["topic"], will["payload"], qos=1, retain=True)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def say(client: Client, payload: bytes, *, topic: str = BEAT, retain: bool = False) -> None:
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "mosquitto") as running_broker:
        yield running_broker


def test_messages_arrive_over_mqtt_5(broker: RunningBroker) -> None:
    recorder = Recorder()
    with running(broker.url, recorder) as link, device(broker) as cam:
        eventually(lambda: recorder.joined, "joining")
        assert link.protocol == V5
        say(cam, b"hello")
        eventually(lambda: recorder.payloads() == [b"hello"], "the message")
        assert recorder.messages[-1].topic == BEAT.encode()
        assert recorder.messages[-1].qos == 1


@contextmanager
def broker_of_3_1_1_only() -> Iterator[str]:
    """A real broker that knows no MQTT 5: amqtt."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = free_port()
    conf = {"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}}

    async def begin() -> amqtt.broker.Broker:
        broker = amqtt.broker.Broker(conf)
        await broker.start()
        return broker

    broker = asyncio.run_coroutine_threadsafe(begin(), loop).result(20)
    try:
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(broker.shutdown(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1() -> None:
    recorder = Recorder()
    with broker_of_3_1_1_only() as url, running(url, recorder) as link:
        eventually(lambda: recorder.joined, "joining")
        assert link.protocol == V311
        link.publish(BEAT, b"hello")
        eventually(lambda: recorder.payloads() == [b"hello"], "the message")


@pytest.mark.parametrize("code", [1, 132])
def test_a_broker_that_refuses_the_version_is_spoken_to_in_3_1_1_at_once(code: int) -> None:
    def script(peer: Peer, _number: int) -> None:
        peer.connack(0 if peer.level == 4 else code)
        peer.serve()

    recorder = Recorder()
    with FakeBroker(script) as old, running(old.url, recorder) as link:
        eventually(lambda: recorder.joined, "joining")
        assert link.protocol == V311
        assert old.levels == [5, 4]


def test_a_broker_that_hangs_up_on_mqtt_5_is_spoken_to_in_3_1_1() -> None:
    def script(peer: Peer, _number: int) -> None:
        if peer.level == 4:
            peer.connack()
            peer.serve()

    recorder = Recorder()
    with FakeBroker(script) as old, running(old.url, recorder) as link:
        eventually(lambda: recorder.joined, "joining")
        assert link.protocol == V311
        assert set(old.levels[:-1]) == {5}


@pytest.mark.parametrize("protocol", [V5, V311])
def test_the_session_is_kept_while_away_and_unacknowledged_messages_come_again(
    broker: RunningBroker, protocol: MQTTProtocolVersion
) -> None:
    with device(broker) as cam:
        first = Recorder()
        first.acknowledging = False
        with running(broker.url, first, protocol=protocol):
            eventually(lambda: first.joined, "joining")
            assert first.sessions == [False]
            say(cam, b"unacknowledged")
            eventually(lambda: first.payloads() == [b"unacknowledged"], "the message")
        say(cam, b"while away")
        second = Recorder()
        with running(broker.url, second, protocol=protocol) as link:
            eventually(lambda: len(second.payloads()) == 2, "the backlog")
            # What comes back behind the acknowledgements shows that the broker has them.
            link.publish(link.canary_topic, b"behind")
            eventually(lambda: any(m.payload == b"behind" for m in second.messages), "the way back")
            assert second.payloads() == [b"unacknowledged", b"while away"]
            assert second.sessions == [True]
            assert second.messages[0].redelivered
        third = Recorder()
        with running(broker.url, third, protocol=protocol):
            eventually(lambda: third.joined, "joining")
            say(cam, b"later")
            eventually(third.payloads, "a message")
            assert third.payloads() == [b"later"]


def test_an_acknowledgement_of_an_earlier_connection_is_never_sent() -> None:
    acknowledged: list[list[int]] = []

    def script(peer: Peer, number: int) -> None:
        peer.connack()
        _first, body = peer.packet()
        peer.suback(body, b"\1\1\1")
        peer.publish(BEAT.encode(), b"%d" % number, mid=7)
        acknowledged.append(peer.acknowledged)
        peer.serve()

    recorder = Recorder()
    recorder.acknowledging = False
    with FakeBroker(script) as broker, running(broker.url, recorder) as link:
        eventually(lambda: recorder.payloads() == [b"0"], "the first message")
        stale = link.epoch
        link.drop("test")
        link.wake()
        eventually(lambda: recorder.payloads() == [b"0", b"1"], "the second connection")
        recorder.to_acknowledge.append((stale, 7))
        recorder.link.publish("pulse/x", b"", qos=1)
        eventually(lambda: len(acknowledged) == 2 and not len(link.outbox), "the publication")
        recorder.to_acknowledge.append((link.epoch, 7))
        link.wake()
        eventually(lambda: acknowledged[1] == [7], "the acknowledgement")
        assert acknowledged[0] == []


def test_the_broker_may_restart(broker: RunningBroker) -> None:
    recorder = Recorder()
    with running(broker.url, recorder):
        eventually(lambda: recorder.joined == 1, "joining")
        broker.restart()
        eventually(lambda: recorder.joined == 2, "joining again", 30)
        assert recorder.ended == 1
        with device(broker) as cam:
            say(cam, b"after")
            eventually(lambda: recorder.payloads() == [b"after"], "the message")


@pytest.mark.parametrize("protocol", [V5, V311])
def test_retained_messages_are_never_delivered_as_live(
    broker: RunningBroker, protocol: MQTTProtocolVersion
) -> None:
    recorder = Recorder()
    with device(broker) as cam:
        say(cam, b"old", retain=True)
        with running(broker.url, recorder, protocol=protocol):
            eventually(lambda: recorder.joined, "joining")
            say(cam, b"new", retain=True)
            eventually(lambda: b"new" in recorder.payloads(), "the live message")
    flags = {m.payload: m.retained for m in recorder.messages if m.topic == BEAT.encode()}
    assert flags.pop(b"new") is False
    assert flags == ({} if protocol == V5 else {b"old": True})


def test_a_last_will_arrives_live_although_it_is_retained(broker: RunningBroker) -> None:
    recorder = Recorder()
    with running(broker.url, recorder):
        eventually(lambda: recorder.joined, "joining")
        cam = Client(CallbackAPIVersion.VERSION2, "cam-1")
        cam.will_set(WILL, "offline", qos=1, retain=True)
        cam.connect(broker.host, broker.port)
        cam.loop_start()
        eventually(cam.is_connected, "the device's connection")
        sock = cam.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)
        cam.loop_stop()
        eventually(lambda: b"offline" in recorder.payloads(), "the will")
        assert [m.retained for m in recorder.messages if m.payload == b"offline"] == [False]


def test_a_topic_that_is_no_utf_8_reaches_the_handler_and_the_loop_lives() -> None:
    def script(peer: Peer, _number: int) -> None:
        peer.connack()
        _first, body = peer.packet()
        peer.suback(body, b"\1\1\1")
        peer.publish(b"community/\xff\xfe/heartbeat", b"1", mid=1)
        peer.publish(BEAT.encode(), b"2", mid=2)
        peer.serve()

    recorder = Recorder()
    with FakeBroker(script) as broker, running(broker.url, recorder):
        eventually(lambda: len(recorder.messages) >= 2, "both messages")
        assert recorder.messages[0].topic == b"community/\xff\xfe/heartbeat"
        assert recorder.ended == 0


def test_paho_keeps_the_raw_topic_where_the_link_reads_it() -> None:
    message = MQTTMessage(topic=b"\xff")
    assert message._topic == b"\xff"
    with pytest.raises(UnicodeDecodeError):
        _ = message.topic


def test_an_exception_in_the_handler_costs_the_connection_and_not_the_loop(broker: RunningBroker) -> None:
    recorder = Recorder()
    with running(broker.url, recorder), device(broker) as cam:
        eventually(lambda: recorder.joined == 1, "joining")
        recorder.failing = True
        say(cam, b"poison once")
        eventually(lambda: recorder.joined == 2, "joining again")
        eventually(lambda: recorder.payloads() == [b"poison once"], "the message, delivered again")


def test_bad_credentials_are_said_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    codes = [134, 134, 0]

    def script(peer: Peer, number: int) -> None:
        peer.connack(codes[min(number, 2)])
        peer.serve()

    recorder = Recorder()
    with FakeBroker(script) as broker, running(broker.url, recorder):
        eventually(lambda: recorder.joined, "joining at last")
    assert "refuses the user name or password of PULSE_MQTT_URL" in caplog.text


def test_a_refused_subscription_is_said_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Peer, number: int) -> None:
        peer.connack()
        peer.serve(codes=b"\1\1\x80" if number == 0 else b"\1\1\1")

    recorder = Recorder()
    with FakeBroker(script) as broker, running(broker.url, recorder):
        eventually(lambda: recorder.joined == 1, "joining at last")
    assert "subscription_refused" in caplog.text


def test_a_takeover_that_the_broker_tells_is_an_alarm(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Peer, _number: int) -> None:
        peer.connack()
        peer.send(0xE0, b"\x8e")
        peer.serve()

    recorder = Recorder()
    with FakeBroker(script) as broker, running(broker.url, recorder) as link:
        eventually(lambda: recorder.ended, "being thrown out")
        eventually(lambda: link._next_attempt_s - time.monotonic() > TAKEN_OVER_S[0] / 2, "a long wait")
    said = caplog.text
    assert "client_id_taken_over" in said
    assert "PULSE_MQTT_CLIENT_ID" in said


def test_two_clients_with_one_id_do_not_throw_each_other_out_for_ever(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Recorder(), Recorder()
    with running(broker.url, first) as one, running(broker.url, second) as other:
        eventually(
            lambda: max(one._next_attempt_s, other._next_attempt_s) - time.monotonic() > 29, "a long wait", 60
        )
        assert one.connections + other.connections < 20
    assert "client_id_taken_over" in caplog.text


def test_dropped_again_and_again_is_suspected_to_be_a_takeover() -> None:
    backoff = Backoff(random.Random(1))
    assert [backoff.ended(0.5, taken_over=False)[1] for _ in range(5)] == [False, False, False, True, True]
    assert backoff.ended(60, taken_over=False)[1] is False
    wait_s, suspected = backoff.ended(0.5, taken_over=True)
    assert suspected
    assert TAKEN_OVER_S[0] / 2 <= wait_s <= TAKEN_OVER_S[1]


def test_waiting_has_full_jitter_up_to_half_a_minute() -> None:
    backoff = Backoff(random.Random(2))
    waits = [backoff.failed() for _ in range(200)]
    assert max(waits) <= LONGEST_S
    assert waits[0] <= 1
    assert min(waits[20:]) < 5
    assert max(waits[20:]) > 25


def test_a_client_with_more_than_1024_descriptors_connects(broker: RunningBroker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("needs a hard limit of 4,096 open files: ulimit -Hn 4096")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    try:
        with ExitStack() as stack:
            for _ in range(1100):
                stack.enter_context(socket.socket())
            recorder = Recorder()
            with running(broker.url, recorder) as link, device_beyond(broker) as cam:
                eventually(lambda: recorder.joined, "joining")
                assert link._client is not None
                sock = link._client.socket()
                assert sock is not None
                assert sock.fileno() > 1024
                cam(b"high")
                eventually(lambda: recorder.payloads() == [b"high"], "the message")
                assert recorder.ended == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def device_beyond(broker: RunningBroker) -> Iterator[Callable[[bytes], None]]:
    """A sender that does without select(): a second link."""
    recorder = Recorder()
    with running(broker.url, recorder, "sender") as link:
        eventually(lambda: recorder.joined, "the sender joining")
        yield lambda payload: link.publish(BEAT, payload)


class Certified(NamedTuple):
    """A broker that listens without and with TLS, the CA of its certificate, and a stranger's."""

    broker: RunningBroker
    url: str
    ca_file: Path
    other_ca_file: Path


@contextmanager
def mosquitto_with_tls(folder: Path) -> Iterator[Certified]:
    openssl = str(programs.require("openssl"))
    folder.mkdir()
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout")
    steps = [
        ("req", "-x509", *key, "ca.key", "-subj", "/CN=ca", "-out", "ca.crt"),
        ("req", "-x509", *key, "other.key", "-subj", "/CN=other", "-out", "other.crt"),
        ("req", *key, "server.key", "-subj", "/CN=127.0.0.1", "-out", "server.csr"),
        (
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-extfile", "names", "-out", "server.crt"),
        ),
    ]
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for step in steps:
        subprocess.run([openssl, *step], cwd=folder, check=True, capture_output=True)
    port = free_port()
    conf = f"listener {port} 127.0.0.1\ncertfile {folder}/server.crt\nkeyfile {folder}/server.key\n"
    with mosquitto(folder / "m", conf) as broker:
        yield Certified(broker, f"mqtts://127.0.0.1:{port}", folder / "ca.crt", folder / "other.crt")


def test_a_burst_arrives_whole_over_tls(tmp_path: Path) -> None:
    recorder, sender = Recorder(), Recorder()
    with (
        mosquitto_with_tls(tmp_path / "tls") as tls,
        running(tls.url, recorder, ca_file=tls.ca_file),
        running(tls.broker.url, sender, "sender") as other,
    ):
        eventually(lambda: recorder.joined and sender.joined, "joining")
        wanted = [b"%d" % number for number in range(3000)]
        for payload in wanted:
            other.publish(BEAT, payload)
        eventually(lambda: len(recorder.messages) >= len(wanted), "the burst")
        assert recorder.payloads() == wanted
        assert recorder.ended == 0


def test_a_broker_with_a_strangers_certificate_is_not_spoken_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    with (
        mosquitto_with_tls(tmp_path / "tls") as tls,
        running(tls.url, recorder, ca_file=tls.other_ca_file) as link,
    ):
        eventually(lambda: link.epoch >= 2, "another attempt")
        assert recorder.joined == 0
    assert "PULSE_MQTT_CA_FILE" in caplog.text


def test_what_is_published_while_away_is_sent_when_back(broker: RunningBroker) -> None:
    recorder = Recorder()
    link = Link(Broker(broker.url), "pulse-test", recorder, SystemClock())
    recorder.link = link
    link.publish("pulse/indicators/online-rate", b"old", retain=True)
    link.publish("pulse/indicators/online-rate", b"new", retain=True)
    stop = threading.Event()
    thread = threading.Thread(target=link.run, args=(stop,))
    thread.start()
    got: list[tuple[bytes, bool]] = []
    with device(broker, "reader") as reader:
        reader.on_message = lambda _c, _u, m: got.append((bytes(m.payload), m.retain))
        eventually(lambda: recorder.joined, "joining")
        eventually(lambda: not len(link.outbox) and not link._publishing, "publication")
        reader.subscribe("pulse/indicators/#", 1)
        eventually(lambda: got, "the retained value")
    stop.set()
    link.wake()
    thread.join(10)
    assert got == [(b"new", True)]


def test_the_outbox_says_when_something_waits_that_did_not_before() -> None:
    outbox = Outbox(limit=2)
    kept, other = Outgoing("t", b"1", 1, True), Outgoing("e", b"2", 1, False)
    assert [outbox.put(item) for item in (kept, kept, other)] == [True, False, False]
    outbox.take(1)
    assert not outbox.put(other)
    outbox.take(2)
    assert [outbox.put(item) for item in (other, kept)] == [True, False]


def test_the_outbox_keeps_the_newest_of_each_retained_topic_and_is_bounded() -> None:
    outbox = Outbox(limit=2)
    first, second = Outgoing("t", b"1", 1, True), Outgoing("t", b"2", 1, True)
    outbox.put(first)
    outbox.put(second)
    outbox.give_back([first])
    for number in range(3):
        outbox.put(Outgoing("e", b"%d" % number, 1, False))
    assert outbox.dropped == 1
    assert [item.payload for item in outbox.take(10)] == [b"1", b"2", b"2"]
    outbox.give_back([second])
    assert [item.payload for item in outbox.take(10)] == [b"2"]
    assert len(outbox) == 0

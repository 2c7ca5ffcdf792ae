"""Both kinds of broker start, carry messages and last wills, keep strangers out and end with us."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.broker import Kind, LocalBroker, local, start
from pulse.broker import passwords
from pulse.errors import BadInput, PulseError
from pulse.limits import allow_connections
from tests import programs, servers
from tests.broker.clients import Client, many, publish_raw, until


@pytest.fixture(params=list(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param is Kind.MOSQUITTO:
        programs.require("mosquitto")
    return Kind(request.param)


@pytest.fixture
def broker(kind: Kind, tmp_path: Path) -> Iterator[LocalBroker]:
    with start(tmp_path, 0, prefer_embedded=kind is Kind.EMBEDDED) as running:
        assert running.kind is kind
        yield running


def test_carries_messages(broker: LocalBroker) -> None:
    with Client(broker.port, "hears") as hears, Client(broker.port, "says") as says:
        hears.subscribe("community/#")
        says.publish("community/c/camera/d1/heartbeat", b"{}")
        assert hears.got("community/c/camera/d1/heartbeat")
        assert hears.received == [("community/c/camera/d1/heartbeat", b"{}", False)]


def test_sends_and_retains_a_last_will(broker: LocalBroker) -> None:
    topic = "community/c/camera/d1/status"
    with Client(broker.port, "hears") as hears:
        hears.subscribe("community/#")
        Client(broker.port, "d1", will=(topic, b"offline")).cut()
        assert hears.got(topic)
        assert hears.received == [(topic, b"offline", False)]
    with Client(broker.port, "later") as later:
        later.subscribe("community/#")
        assert later.got(topic)
        # The embedded one hands a retained message over twice.
        assert set(later.received) == {(topic, b"offline", True)}


def test_keeps_the_queue_of_a_session_that_is_away(broker: LocalBroker) -> None:
    first = Client(broker.port, "collector", clean=False)
    first.subscribe("community/#")
    first.close()
    with Client(broker.port, "says") as says:
        for number in range(50):
            says.publish(f"community/c/camera/d{number}/heartbeat", b"{}")
    with Client(broker.port, "collector", clean=False) as again:
        assert until(lambda: len(again.received) == 50)


def test_ends_within_three_seconds_with_clients_connected(broker: LocalBroker) -> None:
    with many(broker.port, 20):
        began = time.monotonic()
        broker.stop()
        assert time.monotonic() - began < 3
        assert not broker.running()
        assert broker.process.returncode == 0
    broker.stop()


def test_a_taken_port_is_replaced_by_a_free_one(kind: Kind, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        asked = taken.getsockname()[1]
        with start(tmp_path, asked, prefer_embedded=kind is Kind.EMBEDDED) as broker:
            assert broker.asked_port == asked
            assert broker.port != asked
            with Client(broker.port, "c") as client:
                assert client.connected


def test_a_wanted_port_that_is_free_is_kept(kind: Kind, tmp_path: Path) -> None:
    asked = servers.free_port()
    with start(tmp_path, asked, prefer_embedded=kind is Kind.EMBEDDED) as broker:
        assert (broker.port, broker.url) == (asked, f"mqtt://127.0.0.1:{asked}")


def test_another_broker_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    with start(tmp_path, 0, prefer_embedded=True) as broker:
        assert local._listens(broker.pid, broker.port)
        assert not local._listens(os.getpid(), broker.port)


def test_ends_when_its_parent_is_killed(kind: Kind, tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from collector.broker import start; "
        "b = start(pathlib.Path(sys.argv[1]), 0, prefer_embedded=sys.argv[2] == 'embedded'); "
        "print('running', b.pid, b.port, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(kind)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert parent.stdout is not None
        line = next(line for line in parent.stdout if line.startswith("running"))
        pid, port = map(int, line.split()[1:])
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()
    assert until(lambda: not Path(f"/proc/{pid}").exists() or _zombie(pid), 5)
    assert until(lambda: not local._accepts("127.0.0.1", port), 5)


def _zombie(pid: int) -> bool:
    # In a container nobody may collect an orphan's exit status.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_mosquitto_goes_on_where_it_ended(tmp_path: Path) -> None:
    programs.require("mosquitto")
    with start(tmp_path, 0) as broker, Client(broker.port, "says") as says:
        says.publish("community/c/camera/d1/status", b"offline", retain=True)
    with start(tmp_path, 0) as broker, Client(broker.port, "hears") as hears:
        hears.subscribe("community/#")
        assert hears.got("community/c/camera/d1/status")


def test_password_and_access_files_are_kept_by_both(kind: Kind, tmp_path: Path) -> None:
    password_file, acl_file = tmp_path / "passwords", tmp_path / "acl"
    entries = {user: passwords.hashed(password) for user, password in (("d1", "one"), ("collector", "all"))}
    password_file.write_text(passwords.rendered(entries))
    password_file.chmod(0o600)
    acl_file.write_text("user collector\ntopic read community/#\npattern write community/+/+/%u/#\n")
    acl_file.chmod(0o600)
    with start(
        tmp_path,
        0,
        prefer_embedded=kind is Kind.EMBEDDED,
        password_file=password_file,
        acl_file=acl_file,
    ) as broker:
        assert broker.kind is kind
        assert Client(broker.port, "nobody").refused
        assert Client(broker.port, "d1", user="d1", password="two").refused
        with (
            Client(broker.port, "collector", user="collector", password="all") as hears,
            Client(broker.port, "d1", user="d1", password="one") as d1,
        ):
            hears.subscribe("community/#")
            d1.subscribe("community/#")
            d1.publish("community/c/camera/d2/heartbeat")
            hears.publish("community/c/camera/d1/heartbeat")
            forger = Client(
                broker.port, "x", user="d1", password="one", will=("community/c/camera/d2/status", b"offline")
            )
            if forger.connected:
                forger.cut()
            d1.publish("community/c/camera/d1/heartbeat", b"own")
            assert hears.got("community/c/camera/d1/heartbeat")
            # One client's messages keep their order, so what came before the last was refused.
            assert hears.received == [("community/c/camera/d1/heartbeat", b"own", False)]
            d1.publish("community/c/camera/d1/status", b"last")
            assert hears.got("community/c/camera/d1/status")
            assert [topic for topic, _, _ in hears.received if "/d2/" in topic] == []
            assert d1.received == []


@pytest.mark.slow
def test_the_embedded_one_holds_900_connections(tmp_path: Path) -> None:
    allow_connections(1000)
    with (
        start(tmp_path, 0, prefer_embedded=True) as broker,
        many(broker.port, 900) as connections,
        Client(broker.port, "hears") as hears,
    ):
        hears.subscribe("community/#")
        for number, connection in enumerate(connections):
            publish_raw(connection, f"community/c/camera/d{number}/heartbeat", b"{}")
        assert until(lambda: len(hears.received) == 900, 30)
        began = time.monotonic()
        broker.stop()
        assert time.monotonic() - began < 3


def test_a_hard_limit_that_is_too_low_is_said(tmp_path: Path) -> None:
    code = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); "
        "from collector.broker import start; start(pathlib.Path(sys.argv[1]), 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, timeout=30
    )
    assert "need 2112 open files and this machine allows 256" in done.stderr


def test_a_low_soft_limit_is_raised_for_the_broker(kind: Kind, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with start(tmp_path, 0, prefer_embedded=kind is Kind.EMBEDDED) as broker:
            limit, _ = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
            assert limit >= local.CONNECTIONS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_mosquitto_the_embedded_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_FOLDERS", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    with start(tmp_path, 0) as broker:
        assert broker.kind is Kind.EMBEDDED


def test_a_mosquitto_that_does_not_start_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "mosquitto"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with start(tmp_path / "data", 0) as broker:
        assert broker.kind is Kind.EMBEDDED


def test_a_password_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    missing = tmp_path / "no-such-file"
    with pytest.raises(BadInput, match="no-such-file: cannot read the password file"):
        start(tmp_path, 0, password_file=missing)


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(PulseError, match=r"did not start; its log .*embedded\.log ends"):
        start(tmp_path, 0, prefer_embedded=True)


def test_beyond_loopback_a_password_file_is_required(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"would listen on 0\.0\.0\.0 for anyone"):
        start(tmp_path, 0, host="0.0.0.0")  # noqa: S104 - it is refused

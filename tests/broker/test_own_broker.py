"""The broker of `pulse serve` and its files: who comes in, who is put out, what a crash leaves to mend."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.broker import Kind
from pulse.access import devices
from pulse.access.roles import command_line
from pulse.broker import passwords
from pulse.broker.files import BrokerFiles, Own, process_id, reload, replace_whole
from pulse.broker.publishing import Outcome, publish, write
from pulse.commands import ownbroker
from pulse.commands.ownbroker import Running
from pulse.commands.parts import Parts, opened
from pulse.errors import BadInput, PulseError, SettingsError
from pulse.registry.model import Community, DeviceRecord
from pulse.registry.model import Kind as DeviceKind
from pulse.settings import load
from pulse.stores.relational import registry
from tests import programs, servers
from tests.broker.clients import Client, until

OPERATOR = command_line("root", "host")
EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound to it
IDS = ["cam-1", "cam-2", "cam-3"]
OWN, OTHERS = "community/c/camera/cam-1/", "community/c/camera/cam-2/"


@pytest.fixture(params=list(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param is Kind.MOSQUITTO:
        programs.require("mosquitto")
    return Kind(request.param)


@contextmanager
def installation(folder: Path, **settings: object) -> Iterator[Parts]:
    with opened(load(data_dir=folder, **settings)) as parts:
        with parts.db.write() as connection:
            registry.put_communities(connection, [Community("c", "", "")], 1)
            registry.put_kinds(connection, [DeviceKind("camera", "", "", 60.0, 180.0)], 1)
            registry.put_devices(connection, [DeviceRecord(i, "c", "camera") for i in IDS], 1)
        yield parts


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with installation(tmp_path) as made:
        yield made


def issue(parts: Parts, *ids: str) -> dict[str, str]:
    with parts.db.write() as connection:
        made = devices.issue(connection, OPERATOR, ids, parts.clock.now_us())
    return {issued.device: issued.password for issued in made}


@contextmanager
def broker(parts: Parts, kind: Kind) -> Iterator[Running]:
    with ownbroker.running(parts, 0, prefer_embedded=kind is Kind.EMBEDDED) as own:
        assert own.mqtt_5 == (kind is Kind.MOSQUITTO)
        yield own


def collector(own: Running) -> Client:
    client = Client(own.port, "pulse", user=own.broker.username, password=own.broker.password)
    assert client.connected
    client.subscribe("community/#")
    return client


def device(own: Running, name: str, password: str, will: tuple[str, bytes] | None = None) -> Client:
    return Client(own.port, name, user=name, password=password, will=will)


def test_without_any_password_everybody_of_this_machine_comes_in(parts: Parts, kind: Kind) -> None:
    with broker(parts, kind) as own:
        assert own.broker.username is None
        assert Client(own.port, "anybody").connected
        # The broker of a running process cannot change its mind; the operator is told so.
        issue(parts, "cam-1")
        assert publish(parts.db, parts.settings) is Outcome.OPEN


def test_fault_30_forgers_and_strangers_never_reach_the_collector(parts: Parts, kind: Kind) -> None:
    known = issue(parts, "cam-1", "cam-2")
    with broker(parts, kind) as own, collector(own) as hears, device(own, "cam-1", known["cam-1"]) as cam:
        assert Client(own.port, "anybody").refused
        assert device(own, "cam-1", "guess").refused
        assert device(own, "cam-1", known["cam-2"]).refused
        assert device(own, "cam-3", "").refused
        assert Client(own.port, "x", user="_collector", password="guess").refused
        cam.publish(OTHERS + "heartbeat", b"forged")
        cam.publish("pulse/indicators/online-rate", b"forged")
        cam.publish(OTHERS + "status", b"offline", retain=True)
        will = (OTHERS + "status", b"offline")
        forger = Client(own.port, "forger", user="cam-1", password=known["cam-1"], will=will)
        if forger.connected:
            forger.cut()
        honest = device(own, "cam-2", known["cam-2"], (OTHERS + "status", b"own will"))
        honest.cut()
        assert hears.got(OTHERS + "status")
        assert hears.received == [(OTHERS + "status", b"own will", False)]


def test_a_new_password_counts_at_once_and_a_revoked_one_no_more(parts: Parts, kind: Kind) -> None:
    known = issue(parts, "cam-1")
    with broker(parts, kind) as own, collector(own) as hears:
        known |= issue(parts, "cam-2", "cam-3")
        assert publish(parts.db, parts.settings) is Outcome.RELOADED
        stays = device(own, "cam-1", known["cam-1"])
        goes = _comes_in(own, "cam-2", known["cam-2"])
        with parts.db.write() as connection:
            devices.revoke(connection, OPERATOR, ["cam-2"], parts.clock.now_us())
            (fresh,) = devices.rotate(connection, OPERATOR, ["cam-3"], parts.clock.now_us())
        publish(parts.db, parts.settings)
        if kind is Kind.MOSQUITTO:
            # It checks whoever is connected again; the embedded one checks at the next connection only.
            assert until(lambda: goes.lost)
        assert until(lambda: device(own, "cam-2", known["cam-2"]).refused is not None)
        assert device(own, "cam-3", known["cam-3"]).refused
        assert _comes_in(own, "cam-3", fresh.password)
        stays.publish(OWN + "heartbeat", b"{}")
        assert hears.got(OWN + "heartbeat")
        assert not stays.lost
        assert not hears.lost


def _comes_in(own: Running, name: str, password: str) -> Client:
    """The signal travels on its own: the broker may read its files a moment later."""
    tried: list[Client] = []

    def let_in() -> bool:
        tried.append(device(own, name, password))
        return tried[-1].connected

    assert until(let_in)
    return tried[-1]


def test_the_collectors_password_is_another_at_every_start(parts: Parts) -> None:
    issue(parts, "cam-1")
    said = []
    for _ in range(2):
        with broker(parts, Kind.EMBEDDED) as own:
            said.append(own.broker.password)
            assert str(own.broker.password) not in own.broker.shown()
    assert said[0] != said[1]


def test_a_start_mends_what_a_crash_left(parts: Parts, tmp_path: Path) -> None:
    known = issue(parts, "cam-1", "cam-2")
    folder = tmp_path / "broker"
    publish(parts.db, parts.settings)
    with parts.db.write() as connection:
        devices.revoke(connection, OPERATOR, ["cam-2"], parts.clock.now_us())
    # Here the process ended before it wrote; and of an earlier one a half-written file is left.
    (folder / "passwords.new").write_text("half")
    assert "cam-2" in passwords.read(folder / "passwords")
    with broker(parts, Kind.EMBEDDED) as own:
        assert device(own, "cam-2", known["cam-2"]).refused
        assert device(own, "cam-1", known["cam-1"]).connected


def test_service_users_are_kept_and_nobody_else(parts: Parts, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir(0o700)
    (folder / "passwords").write_text("_reader:$7$1$a$b\n_health:$7$1$c$d\nstranger:$7$1$e$f\n")
    (folder / "passwords").chmod(0o640)
    issue(parts, "cam-1")
    settings = parts.settings.model_copy(update={"broker_dir": folder})
    assert publish(parts.db, settings) is Outcome.WRITTEN
    assert list(passwords.read(folder / "passwords")) == ["_reader", "_health", "cam-1"]
    assert (folder / "passwords").stat().st_mode & 0o777 == 0o640
    assert (folder / "acl").stat().st_mode & 0o777 == 0o600
    assert "pattern write community/+/+/%u/#" in (folder / "acl").read_text()


def test_a_new_file_is_the_groups_to_read_where_the_folder_is(tmp_path: Path) -> None:
    for mode, expected in ((0o700, 0o600), (0o750, 0o640), (0o755, 0o640)):
        folder = tmp_path / oct(mode)
        folder.mkdir()
        folder.chmod(mode)
        replace_whole(folder / "passwords", "x\n")
        assert (folder / "passwords").stat().st_mode & 0o777 == expected


def test_concurrent_changes_lose_nothing(parts: Parts, tmp_path: Path) -> None:
    """Each process writes what the database says while it holds the lock, so the last has everybody."""
    command = [sys.executable, "-m", "pulse", "device", "credentials", "issue", "--data-dir", str(tmp_path)]
    running = [
        subprocess.Popen([*command, name], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for name in IDS
    ]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert sorted(passwords.read(tmp_path / "broker" / "passwords")) == IDS


def test_a_writer_waits_for_the_lock_and_reads_after_it(parts: Parts, tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    waiting = threading.Thread(target=lambda: publish(parts.db, parts.settings))
    with BrokerFiles(folder).held():
        waiting.start()
        issue(parts, "cam-1")
        assert not (folder / "passwords").exists()
    waiting.join(30)
    assert list(passwords.read(folder / "passwords")) == ["cam-1"]


def test_a_signal_by_pid_file_reloads_a_mosquitto_of_ones_own(parts: Parts, tmp_path: Path) -> None:
    folder = tmp_path / "mosquitto"
    folder.mkdir(0o700)
    write(parts.db, BrokerFiles(folder), {"_collector": passwords.hashed("secret")})
    conf = f"password_file {folder}/passwords\nacl_file {folder}/acl\npid_file {folder}/pid"
    with servers.mosquitto(folder, conf) as running:
        (folder / "pid").write_text(f"{running.process.pid}\n")
        settings = parts.settings.model_copy(update={"broker_dir": folder, "broker_pid": f"{folder}/pid"})
        with Client(running.port, "pulse", user="_collector", password="secret") as stays:
            assert stays.connected
            known = issue(parts, "cam-1")
            assert publish(parts.db, settings) is Outcome.RELOADED
            assert until(lambda: Client(running.port, "x", user="cam-1", password=known["cam-1"]).connected)
            assert not stays.lost


def test_what_a_command_prints_is_the_password_alone_when_the_broker_was_told(
    parts: Parts, tmp_path: Path
) -> None:
    """Programs read it: a line of the log among it would be taken for a part of the password."""
    issue(parts, "cam-1")
    folder = tmp_path / "mosquitto"
    folder.mkdir(0o700)
    write(parts.db, BrokerFiles(folder), {"_collector": passwords.hashed("secret")})
    conf = f"password_file {folder}/passwords\nacl_file {folder}/acl"
    with servers.mosquitto(folder, conf) as running:
        done = subprocess.run(
            [sys.executable, "-m", "pulse", "device", "credentials", "rotate", "cam-1"],
            env={
                **os.environ,
                "PULSE_DATA_DIR": str(parts.settings.data_dir),
                "PULSE_BROKER_DIR": str(folder),
                "PULSE_BROKER_PID": str(running.process.pid),
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "are in force" in done.stderr
        assert re.fullmatch(r"cam-1:[\w-]{43}\n", done.stdout)
        password = done.stdout.strip().partition(":")[2]
        assert until(lambda: Client(running.port, "x", user="cam-1", password=password).connected)


def test_a_folder_of_another_broker_is_not_for_our_own(parts: Parts, tmp_path: Path) -> None:
    settings = parts.settings.model_copy(update={"broker_dir": tmp_path})
    other = Parts(settings, parts.db, parts.store, parts.clock)
    with pytest.raises(SettingsError, match="PULSE_BROKER_DIR"), broker(other, Kind.EMBEDDED):
        pass


def test_no_other_program_is_signalled(tmp_path: Path) -> None:
    signalled: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        signalled.append((pid, number))

    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            assert until(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")
            with pytest.raises(PulseError, match=r"PULSE_BROKER_PID.*is sleep, no mosquitto"):
                reload(other.pid, kill)
        finally:
            other.kill()
    with pytest.raises(PulseError, match="no process"):
        reload(other.pid, kill)
    assert signalled == []
    for said in ("0", "1", "-5", "x/y", ""):
        with pytest.raises(BadInput, match="PULSE_BROKER_PID"):
            process_id(said)
    (tmp_path / "pid").write_text("123\n")
    assert process_id(str(tmp_path / "pid")) == process_id("123") == 123


def test_a_broker_that_is_gone_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    files = BrokerFiles(tmp_path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    files.set_own(Own(gone.pid, mosquitto=True, asks=True))
    assert files.own() is None


@pytest.mark.parametrize(
    ("host", "auth", "issued", "asks"),
    [
        ("127.0.0.1", "auto", False, False),
        ("127.0.0.1", "auto", True, True),
        ("127.0.0.1", "always", False, True),
        ("127.0.0.1", "never", True, False),
        ("::1", "auto", False, False),
        (EVERYWHERE, "auto", False, True),
        ("192.0.2.1", "auto", False, True),
    ],
)
def test_passwords_are_asked_for_where_devices_have_them_or_others_could_come(
    host: str, auth: str, issued: bool, asks: bool
) -> None:
    assert ownbroker.asks(load(mqtt_host=host, broker_auth=auth), issued) is asks


def test_nothing_opens_the_broker_to_the_network_without_passwords() -> None:
    with pytest.raises(SettingsError, match="PULSE_BROKER_AUTH"):
        ownbroker.asks(load(mqtt_host=EVERYWHERE, broker_auth="never"), False)
    with pytest.raises(SettingsError, match="PULSE_MQTT_HOST"):
        load(mqtt_host="everywhere")


def test_a_killed_process_leaves_nothing_that_hinders_the_next(parts: Parts, tmp_path: Path) -> None:
    programs.require("mosquitto")
    issue(parts, "cam-1")
    command = [sys.executable, "-m", "pulse", "serve", "--data-dir", str(tmp_path)]
    environment = {
        "PULSE_HTTP_PORT": str(servers.free_port()),
        "PULSE_MQTT_PORT": str(servers.free_port()),
        "PATH": "/usr/bin:/usr/sbin",
    }
    own = BrokerFiles(tmp_path / "broker")
    for number in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                assert until(lambda: own.own() is not None, 30)
            finally:
                process.send_signal(number)
                process.wait(30)
        assert until(lambda: own.own() is None)

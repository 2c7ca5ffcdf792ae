"""Real servers for tests, each on a free port of the loopback address and with its own folder.

A server is ready when its context manager yields and gone when the block ends. `stop` asks it to end,
`kill` does not ask, `start` runs it again on the same port and data, `pause` freezes it.
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg.sql

from tests import programs

HOST = "127.0.0.1"
READY_S = 30.0
STOP_S = 20.0

QUEUE_CONF = "max_queued_messages 100000\nmax_inflight_messages 1000\n"


def free_port() -> int:
    """A port of the loopback address that nothing listened on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One outside process that listens on `host`:`port`."""

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        *,
        ready: Callable[[], bool],
        graceful: signal.Signals = signal.SIGTERM,
        user: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.host = HOST
        self.port = port
        self.log = log
        self._command = command
        self._ready = ready
        self._graceful = graceful
        self._user = user
        self._environment = environment
        self.process: subprocess.Popen[bytes] = self._spawn()
        self._wait()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        as_user: dict[str, Any] = {}
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
                env=self._environment,
                **as_user,
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self._command[0]} did not become ready:\n{tail}")
            time.sleep(0.02)

    def running(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    def start(self) -> None:
        """Run it again after `stop` or `kill`, on the same port and data, and wait until it is ready."""
        if not self.running():
            self.process = self._spawn()
            self._wait()

    def stop(self) -> None:
        """Ask it to end and wait; what it keeps on disk is whole afterwards."""
        if self.running():
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(self._graceful)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it without a chance to save anything."""
        if self.running():
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """`stop`, then `start`."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay, nothing answers, until `resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self.process.send_signal(signal.SIGCONT)


class RunningBroker(Server):
    """A mosquitto."""

    @property
    def url(self) -> str:
        """Its address for `PULSE_MQTT_URL`, without a user."""
        return f"mqtt://{self.host}:{self.port}"


class RunningInflux:
    """An InfluxDB 2 with an operator token. `server` is None when it was given from outside."""

    def __init__(self, url: str, token: str, org: str, server: Server | None = None) -> None:
        self.url = url
        self.token = token
        self.org = org
        self.server = server


class RunningPostgres(Server):
    """A PostgreSQL whose user `pulse` needs no password."""

    @property
    def url(self) -> str:
        """The database that is there from the start, for `PULSE_DATABASE_URL`."""
        return f"postgresql://pulse@{self.host}:{self.port}/postgres"

    def fresh_database(self) -> str:
        """Create an empty database and give its address."""
        name = f"t{time.monotonic_ns()}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return f"postgresql://pulse@{self.host}:{self.port}/{name}"


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


@contextlib.contextmanager
def mosquitto(folder: Path, extra_conf: str = "") -> Iterator[RunningBroker]:
    """A mosquitto with the queue settings of production and persistence in `folder`.

    Anonymous clients are let in unless `extra_conf` (lines of mosquitto.conf) says who may.
    """
    program = programs.require("mosquitto")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    lines = [
        f"listener {port} {HOST}",
        "persistence true",
        f"persistence_location {folder}/",
        "log_dest stderr",
    ]
    if os.geteuid() == 0:
        # As root it would drop to its own user, who cannot write the folder.
        lines.append("user root")
    if "allow_anonymous" not in extra_conf:
        lines.append(f"allow_anonymous {'false' if 'password_file' in extra_conf else 'true'}")
    conf = folder / "mosquitto.conf"
    conf.write_text("\n".join(lines) + "\n" + QUEUE_CONF + extra_conf + "\n")
    broker = RunningBroker(
        [str(program), "-c", str(conf)], port, folder / "mosquitto.log", ready=lambda: accepts(port)
    )
    try:
        yield broker
    finally:
        broker.stop()


@contextlib.contextmanager
def influxd(folder: Path) -> Iterator[RunningInflux]:
    """An InfluxDB 2: the one of `PULSE_TEST_INFLUXDB_URL`, `_TOKEN` and `_ORG` if set, else an `influxd`."""
    given = os.environ.get("PULSE_TEST_INFLUXDB_URL")
    if given:
        org = os.environ.get("PULSE_TEST_INFLUXDB_ORG", "pulse")
        yield RunningInflux(given, os.environ.get("PULSE_TEST_INFLUXDB_TOKEN", ""), org)
        return
    program = programs.require("influxd")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://{HOST}:{port}"
    command = [
        str(program),
        *("--bolt-path", str(folder / "influxd.bolt")),
        *("--engine-path", str(folder / "engine")),
        *("--sqlite-path", str(folder / "influxd.sqlite")),
        *("--http-bind-address", f"{HOST}:{port}"),
        "--reporting-disabled",
    ]

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    server = Server(command, port, folder / "influxd.log", ready=healthy, graceful=signal.SIGINT)
    try:
        token = "test-token-of-the-test-suite"
        _influx_setup(url, token)
        yield RunningInflux(url, token, "pulse", server)
    finally:
        server.stop()


def _influx_setup(url: str, token: str) -> None:
    body = {
        "username": "pulse",
        "password": "password-of-the-test-suite",
        "org": "pulse",
        "bucket": "setup",
        "token": token,
    }
    request = urllib.request.Request(
        f"{url}/api/v2/setup", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[RunningPostgres]:
    """A PostgreSQL without durability, for speed.

    Its programs refuse root; then another user runs them, in a folder of its own, because `folder` (a
    `tmp_path`) lets nobody else in.
    """
    initdb, program = programs.require("initdb"), programs.require("postgres")
    user = _unprivileged_user() if os.geteuid() == 0 else None
    if user is not None:
        folder = Path(tempfile.mkdtemp(prefix="pulse-postgres-"))
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    folder.mkdir(parents=True, exist_ok=True)
    data, port = folder / "pgdata", free_port()
    as_user: dict[str, Any] = {}
    if user is not None:
        entry = pwd.getpwnam(user)
        as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    try:
        made = subprocess.run(
            [
                *(str(initdb), "-D", str(data), "-U", "pulse", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            **as_user,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stderr}")
        command = [
            *(str(program), "-D", str(data), "-h", HOST, "-p", str(port)),
            *("-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "full_page_writes=off"),
        ]

        def ready() -> bool:
            try:
                psycopg.connect(
                    host=HOST, port=port, user="pulse", dbname="postgres", connect_timeout=2
                ).close()
            except psycopg.OperationalError:
                return False
            return True

        log = folder / "postgres.log"
        server = RunningPostgres(command, port, log, ready=ready, graceful=signal.SIGINT, user=user)
        try:
            yield server
        finally:
            server.stop()
    finally:
        if user is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"

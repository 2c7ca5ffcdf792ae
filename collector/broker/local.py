"""Start a broker as a child process, on a free port, and end it with us."""

import contextlib
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from collector.broker import acl
from pulse import logs
from pulse.broker import passwords
from pulse.errors import BadInput, PulseError
from pulse.limits import allow_connections
from pulse.ports import free_port

log = logs.get(__name__)

READY_S = 15.0
STOP_S = 3.0
CONNECTIONS = 2048
"""Connections that the broker is made ready for: a community's devices and as many again."""

MAX_LOG_BYTES = 10_000_000
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


class Kind(StrEnum):
    """Which broker it is."""

    MOSQUITTO = "mosquitto"
    EMBEDDED = "embedded"


class LocalBroker:
    """A running broker. `asked_port` is the port that was wanted; `port` the one it has."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", kind: Kind, host: str, port: int, asked_port: int, log: Path
    ) -> None:
        self.process = process
        self.kind = kind
        self.host = host
        self.port = port
        self.asked_port = asked_port
        self.log = log

    @property
    def url(self) -> str:
        """Its address in the form of `PULSE_MQTT_URL`, for clients of this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - no binding
        return f"mqtt://[{host}]:{self.port}" if ":" in host else f"mqtt://{host}:{self.port}"

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self.process.pid

    def running(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Return once it accepts connections; raises `PulseError` with the end of its log if it does not."""
        deadline = time.monotonic() + timeout_s
        while not (_accepts(self.host, self.port) and _listens(self.pid, self.port)):
            if not self.running() or time.monotonic() > deadline:
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-1000:].strip()
                raise PulseError(f"the {self.kind} broker did not start; its log {self.log} ends: {tail}")
            time.sleep(0.02)

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End it: mosquitto writes what it keeps first. After `timeout_s` it is killed. Twice is fine."""
        if self.running():
            self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("broker_killed", pid=self.pid, waited_s=timeout_s)
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(
    data_dir: Path,
    port: int,
    *,
    host: str = "127.0.0.1",
    prefer_embedded: bool = False,
    password_file: Path | None = None,
    acl_file: Path | None = None,
) -> LocalBroker:
    """Start a broker that listens on `host` and accepts connections when this returns.

    A port that is taken, forbidden or 0 is replaced by a free one. What mosquitto keeps lies in
    `data_dir`/broker. The broker ends with the thread that calls this, at the latest. Beyond the
    loopback address a password file is required. Raises `BadInput`, or `PulseError` if neither broker
    starts.
    """
    if password_file is None and not ipaddress.ip_address(host).is_loopback:
        raise BadInput(
            f"the broker would listen on {host} for anyone; give it a password file, or use 127.0.0.1",
            where="password_file",
        )
    if password_file is not None:
        passwords.read(password_file)
    if acl_file is not None:
        acl.read(acl_file)
    folder = data_dir.resolve() / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    allow_connections(CONNECTIONS)
    program = None if prefer_embedded else _mosquitto()
    if program is not None:
        try:
            return _start(Kind.MOSQUITTO, folder, port, host, password_file, acl_file, program)
        except PulseError as error:
            log.warning("mosquitto_did_not_start", program=str(program), error=str(error), instead="embedded")
    return _start(Kind.EMBEDDED, folder, port, host, password_file, acl_file, Path(sys.executable))


def _start(
    kind: Kind,
    folder: Path,
    asked: int,
    host: str,
    password_file: Path | None,
    acl_file: Path | None,
    program: Path,
) -> LocalBroker:
    port = _port(host, asked)
    for attempts_left in (2, 1, 0):
        if kind is Kind.MOSQUITTO:
            conf = folder / "mosquitto.conf"
            conf.write_text(mosquitto_conf(folder, host, port, password_file, acl_file), encoding="utf-8")
            leash = [sys.executable, "-m", "collector.broker.leash", str(os.getpid())]
            command = [*leash, str(program), "-c", str(conf)]
        else:
            command = [
                *(str(program), "-m", "collector.broker.embedded", "--parent", str(os.getpid())),
                *("--host", host, "--port", str(port), "--connections", str(CONNECTIONS)),
                *(("--password-file", str(password_file.resolve())) if password_file else ()),
                *(("--acl-file", str(acl_file.resolve())) if acl_file else ()),
            ]
        broker = _spawn(command, kind, host, port, asked, folder / f"{kind}.log")
        try:
            broker.wait_ready()
        except PulseError:
            broker.stop()
            # Somebody took the port between our look and the broker's.
            another = _port(host, port)
            if attempts_left and another != port:
                port = another
                continue
            raise
        if asked and port != asked:
            log.warning("broker_port_taken", asked=asked, given=port)
        log.info("broker_started", kind=str(kind), url=broker.url, pid=broker.pid)
        return broker
    raise PulseError(f"no port of {host} stays free long enough to start a broker on it")


def _spawn(command: list[str], kind: Kind, host: str, port: int, asked: int, log_file: Path) -> LocalBroker:
    if log_file.exists() and log_file.stat().st_size > MAX_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
    root = str(Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
    }
    with log_file.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            # Ctrl-C is for us; we end the broker once everything that uses it has ended.
            process_group=0,
        )
    return LocalBroker(process, kind, host, port, asked, log_file)


def mosquitto_conf(
    folder: Path, host: str, port: int, password_file: Path | None, acl_file: Path | None
) -> str:
    """The configuration of our mosquitto, with queues that hold a community's burst (its defaults drop)."""
    lines = [
        f"listener {port} {host}",
        "max_queued_messages 100000",
        "max_inflight_messages 1000",
        "message_size_limit 1048576",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 60",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
    ]
    if os.geteuid() == 0:
        # As root it would drop to its own user, who cannot write our folder.
        lines.append("user root")
    if password_file:
        lines += ["allow_anonymous false", f"password_file {password_file.resolve()}"]
    else:
        lines.append("allow_anonymous true")
    if acl_file:
        lines.append(f"acl_file {acl_file.resolve()}")
    return "\n".join(lines) + "\n"


def _mosquitto() -> Path | None:
    # Debian installs it where only root looks.
    found = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS)))
    return Path(found) if found else None


def _port(host: str, wanted: int) -> int:
    try:
        return free_port(host, wanted)
    except OSError as error:
        raise BadInput(f"cannot listen on {host}: {error}", where="host") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _accepts(host: str, port: int) -> bool:
    with socket.socket(_family(host)) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _listens(pid: int, port: int) -> bool:
    """Whether it is this process that listens on `port`, and not one that took it a moment earlier.

    Read from Linux's /proc; where there is none, the answer is yes.
    """
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.is_dir():
        return not Path("/proc").is_dir()
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    listening.add(f"socket:[{fields[9]}]")
    for descriptor in descriptors.iterdir():
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) in listening:
                return True
    return False

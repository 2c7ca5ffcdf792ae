"""The broker of docker-compose.yml as a plain process: its start script, configuration, access file."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pulse.broker import passwords
from pulse.certificates import keep
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.settings import Settings
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database
from tests import programs, servers
from tests.broker.clients import until

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "deploy" / "mosquitto"


class ComposeBroker:
    """The running broker; its scripts run as `docker compose exec` would run them."""

    def __init__(self, server: servers.RunningBroker, environment: dict[str, str], root: Path) -> None:
        self.server = server
        self.port = server.port
        self.tls_port = int(environment["MOSQUITTO_TLS_PORT"])
        self.root = root
        self.environment = environment

    def script(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a script of deploy/mosquitto beside the broker."""
        return subprocess.run(
            ["sh", str(self.root / "config" / name), *arguments],
            env={**self.environment, "MOSQUITTO_PID": str(self.server.process.pid)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @property
    def users(self) -> dict[str, str]:
        """Entries of the password file that the broker reads."""
        return passwords.read(self.root / "data" / "passwords")

    def issue(self, device: str) -> str:
        """Issue a password as `pulse device credentials issue` does in the api's container, and give it."""
        told = self.pulse("issue", device)
        assert until(lambda: device in self.users)
        return told.strip().partition(":")[2]

    def pulse(self, action: str, device: str) -> str:
        """Run `pulse device credentials ACTION DEVICE` on the shared volume; gives what it printed."""
        settings = Settings(data_dir=self.root, broker_dir=self.root / "devices", _env_file=None)  # type: ignore[call-arg]
        with contextlib.closing(Database(settings.relational_url())) as db:
            db.open()
            with db.write() as connection:
                community, kind = Community("xinjinglou", "", ""), Kind("camera", "", "", 60.0, 180.0)
                registry.put_communities(connection, [community], 1)
                registry.put_kinds(connection, [kind], 1)
                registry.put_devices(connection, [DeviceRecord(device, community.id, kind.id)], 1)
        done = subprocess.run(
            [sys.executable, "-m", "pulse", "device", "credentials", action, device],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "PULSE_DATA_DIR": str(settings.data_dir),
                "PULSE_BROKER_DIR": str(settings.broker_dir),
            },
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextlib.contextmanager
def compose_broker(folder: Path, **passwords: str) -> Iterator[ComposeBroker]:
    """Start it with paths of `folder` in the place of the container's, and a free port in that of 1883."""
    programs.require("mosquitto")
    programs.require("mosquitto_sub")
    root, port = folder / "mosquitto", servers.free_port()
    shutil.copytree(SHIPPED, root / "config")
    shutil.copy(ROOT / "pulse" / "broker" / "acl", root / "acl")
    for name in ("data", "devices"):
        (root / name).mkdir()
    keep(root / "certificates", ["127.0.0.1"], datetime.now(UTC))
    tls_port = servers.free_port()
    conf = root / "config" / "mosquitto.conf"
    text = conf.read_text(encoding="utf-8")
    assert "listener 1883\n" in text
    text = text.replace("listener 1883\n", f"listener {port} 127.0.0.1\n").replace("/mosquitto/", f"{root}/")
    # The container starts it as its own user already.
    conf.write_text(text + ("user root\n" if os.geteuid() == 0 else ""), encoding="utf-8")
    environment = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin",
        "MOSQUITTO_ROOT": str(root),
        "MOSQUITTO_HEALTH": str(folder / "health"),
        "MOSQUITTO_PORT": str(port),
        "MOSQUITTO_LOOK_S": "0.1",
        "MOSQUITTO_TLS_PORT": str(tls_port),
        **passwords,
    }
    server = servers.RunningBroker(
        ["sh", str(root / "config" / "start.sh")],
        port,
        folder / "mosquitto.log",
        ready=lambda: servers.accepts(port),
        environment=environment,
    )
    try:
        yield ComposeBroker(server, environment, root)
    finally:
        server.stop()

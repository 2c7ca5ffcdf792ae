"""The broker of docker-compose.yml as a plain process: its start script, configuration, access file."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests import programs, servers

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto"


class ComposeBroker:
    """The running broker; its scripts run as `docker compose exec` would run them."""

    def __init__(self, server: servers.RunningBroker, environment: dict[str, str], root: Path) -> None:
        self.server = server
        self.port = server.port
        self.root = root
        self._environment = environment

    def script(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a script of deploy/mosquitto beside the broker."""
        return subprocess.run(
            ["sh", str(self.root / "config" / name), *arguments],
            env={**self._environment, "MOSQUITTO_PID": str(self.server.process.pid)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def add_device(self, device: str) -> str:
        """Add a device and give its password."""
        done = self.script("add-device.sh", device)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def compose_broker(folder: Path, **passwords: str) -> Iterator[ComposeBroker]:
    """Start it with paths of `folder` in the place of the container's, and a free port in that of 1883."""
    programs.require("mosquitto")
    programs.require("mosquitto_sub")
    root, port = folder / "mosquitto", servers.free_port()
    shutil.copytree(SHIPPED, root / "config")
    (root / "data").mkdir()
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

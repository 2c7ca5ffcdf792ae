"""Every command of docker-compose.yml, with its own environment, as a plain process against real servers."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import servers
from tests.broker.clients import until
from tests.deploy.broker import ComposeBroker, compose_broker

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = [name for name, service in SERVICES.items() if service.get("command", [""])[0] == "pulse"]
PULSE = [sys.executable, "-m", "pulse"]
VALUES = {
    "MQTT_COLLECTOR_PASSWORD": "collectors-password",
    "POSTGRES_PASSWORD": "postgres-password",
}


def test_compose_starts_five_of_our_processes() -> None:
    assert sorted(OURS) == ["api", "certificates", "collector", "scheduler", "simulators"]


@pytest.mark.parametrize("name", OURS)
def test_every_command_and_option_exists(name: str) -> None:
    command = SERVICES[name]["command"]
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), command[1:]))
    done = subprocess.run(
        [*PULSE, *words, "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    for option in [word for word in command[2:] if word.startswith("--")]:
        assert option in done.stdout


class Installation:
    """The stores and the broker of the compose file, and its processes once they are started."""

    def __init__(
        self, folder: Path, broker: ComposeBroker, influx: servers.RunningInflux, database: str
    ) -> None:
        self.folder = folder
        self.http_port, self.metrics_port = servers.free_port(), servers.free_port()
        self._hosts = {
            "mosquitto:8883": f"127.0.0.1:{broker.tls_port}",
            "/var/lib/pulse-certificates": str(broker.root / "certificates"),
            "http://influxdb:8086": influx.url,
            "/var/lib/pulse-broker": str(broker.root / "devices"),
            "/var/lib/pulse-outlets": str(folder / "outlets"),
            "/var/lib/pulse/passwords": str(folder / "passwords"),
        }
        self._values = {**VALUES, "INFLUXDB_TOKEN": influx.token}
        self._database = database
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _filled(self, text: str) -> str:
        filled = re.sub(
            r"\$\{(\w+):([-?])([^}]*)\}",
            lambda m: self._values.get(m[1], m[3] if m[2] == "-" else f"<{m[1]} is missing>"),
            text,
        )
        for inside, outside in self._hosts.items():
            filled = filled.replace(inside, outside)
        return filled

    def environment(self, name: str) -> dict[str, str]:
        """What the service `name` is told, with the servers of this test in the place of the containers."""
        given = {key: self._filled(value) for key, value in SERVICES[name].get("environment", {}).items()}
        assert "is missing" not in str(given)
        if "PULSE_DATABASE_URL" in given:
            assert given["PULSE_DATABASE_URL"] == "postgresql://pulse:postgres-password@postgres:5432/pulse"
            given["PULSE_DATABASE_URL"] = self._database
        given["PULSE_HTTP_PORT"] = str(self.http_port)
        if "PULSE_HTTP_HOST" in given:
            # The container's own network is private; ours is not.
            assert given["PULSE_HTTP_HOST"] == "0.0.0.0"  # noqa: S104 - compared
            given["PULSE_HTTP_HOST"] = "127.0.0.1"
        if "PULSE_METRICS_HOST" in given:
            given |= {"PULSE_METRICS_HOST": "127.0.0.1", "PULSE_METRICS_PORT": str(self.metrics_port)}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PULSE_DATA_DIR": str(self.folder / name),
            **given,
            "PULSE_PUBLIC_VIEW": "true",
        }

    def start(self, name: str) -> None:
        """Start one of our processes."""
        program, *words = [self._filled(word) for word in SERVICES[name]["command"]]
        command = [*(PULSE if program == "pulse" else [sys.executable]), *words]
        (self.folder / name).mkdir()
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment(name),
                cwd=self.folder / name,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self, name: str) -> str:
        """The end of what a process said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def healthy(self, name: str) -> bool:
        """Whether the service's own health check passes."""
        assert self.processes[name].poll() is None, self.log(name)
        check = SERVICES[name]["healthcheck"]["test"]
        assert check[:2] == ["CMD", "python"]
        done = subprocess.run(
            [sys.executable, *check[2:]],
            env=self.environment(name),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode == 0

    def get(self, path: str) -> Any:
        """The JSON that the API answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def end(self, name: str) -> int:
        """Ask a process to end as `docker compose stop` does and give its exit status."""
        process = self.processes[name]
        process.send_signal(signal.SIGTERM)
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        return process.wait(grace)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with (
        compose_broker(
            tmp_path / "broker",
            MQTT_COLLECTOR_PASSWORD=VALUES["MQTT_COLLECTOR_PASSWORD"],
        ) as broker,
        servers.influxd(tmp_path / "influx") as influx,
        servers.postgres(tmp_path / "postgres") as postgres,
    ):
        installation = Installation(tmp_path, broker, influx, postgres.fresh_database())
        try:
            yield installation
        finally:
            for process in installation.processes.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()


@pytest.mark.slow
def test_the_processes_of_the_compose_file_work_together_and_end_in_order(installation: Installation) -> None:
    for name in ("collector", "api", "scheduler"):
        installation.start(name)
    assert until(lambda: installation.healthy("collector"), 60), installation.log("collector")
    assert until(lambda: installation.healthy("api"), 60), installation.log("api")
    installation.start("simulated-fleet")
    assert installation.processes["simulated-fleet"].wait(60) == 0, installation.log("simulated-fleet")
    installation.start("simulators")
    assert until(lambda: installation.get("/api/v1/collector")["listening"], 30), installation.log(
        "collector"
    )
    assert until(lambda: _running(installation) > 700, 120), installation.log("simulators")
    assert until(lambda: installation.healthy("scheduler"), 150), installation.log("scheduler")
    for name in ("simulators", "scheduler", "api", "collector"):
        assert installation.end(name) == 0, installation.log(name)
        assert "Traceback" not in installation.log(name)
        assert "password" not in installation.log(name)


def _running(installation: Installation) -> int:
    now = installation.get("/api/v1/indicators/online-rate")
    assert now["total"] == 826
    return int(now["running"])

"""A small demo from start to end: the expected rate from live traffic, its evidence, and going on later."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from simulators.fleet import fleet
from simulators.main import load_passwords
from tests.broker.clients import Client
from tests.demo.running import RunningDemo, demo

SEED, DEVICES, TIME_SCALE = 7, 50, 15
CHOICES = ("--devices", str(DEVICES), "--seed", str(SEED), "--time-scale", str(TIME_SCALE))
RATE = "/api/v1/indicators/online-rate"
CERTAIN_WITHIN_S = 90.0


def settled(running: RunningDemo, expected: int) -> Any:
    """The rate once every state is certain and as expected."""
    return running.wait_for(
        RATE, lambda rate: rate["determined"] and rate["running"] == expected, CERTAIN_WITHIN_S
    )


def test_a_demo_reaches_its_rate_from_live_traffic_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    expected = fleet(SEED, DEVICES).running
    with demo(tmp_path, *CHOICES) as first:
        assert "SIMULATED" in first.output()
        rate = settled(first, expected)
        assert rate["total"] == DEVICES
        assert rate["states"]["unknown"] == 0
        assert sum(rate["states"].values()) == DEVICES
        assert sum(part["running"] for part in rate["by_community"].values()) == expected
        assert sum(part["total"] for part in rate["by_kind"].values()) == DEVICES

        down = first.get("/api/v1/devices?state=offline&state=fault&limit=100")["items"]
        assert {device["id"] for device in down} == fleet(SEED, DEVICES).down
        why = first.get(f"/api/v1/devices/{down[0]['id']}")
        assert why["state"] in {"offline", "fault"}
        assert why["since"] is not None

        past = first.get(f"{RATE}?at={rate['at']}&known_at={rate['known_at']}")
        assert {k: v for k, v in past.items() if k != "calculated_at"} == {
            k: v for k, v in rate.items() if k != "calculated_at"
        }
        history = first.get(f"{RATE}/history")["points"]
        assert len(history) > 1000, "seven days of published values"
        first.interrupt()
        assert first.process.returncode == 0

    with demo(tmp_path, *CHOICES) as second:
        assert settled(second, expected)["total"] == DEVICES
        again = second.get(f"{RATE}?at={rate['at']}&known_at={rate['known_at']}")
        assert (again["running"], again["states"]) == (rate["running"], rate["states"])


def test_ports_that_are_taken_are_replaced_and_printed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as http, socket.create_server(("127.0.0.1", 0)) as mqtt:
        taken = (http.getsockname()[1], mqtt.getsockname()[1])
        with demo(tmp_path, "--devices", "7", "--time-scale", "20", "--no-history", ports=taken) as running:
            output = running.output()
            for port in taken:
                assert f"{port} is taken" in output.replace("Port ", "").replace("MQTT port ", "")
            with urllib.request.urlopen(f"{running.address}/healthz", timeout=5) as answer:
                assert answer.status == 200


@pytest.mark.parametrize("option", ["--port", "--mqtt-port"])
@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_cannot_be_is_refused_in_words(tmp_path: Path, option: str, port: str) -> None:
    done = _pulse("demo", "--data-dir", str(tmp_path), option, port)
    assert done.returncode == 2
    assert option in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_keeps_its_fleet_and_serves_one_demo_at_a_time(tmp_path: Path) -> None:
    choices = ("--devices", "7", "--time-scale", "20", "--no-history")
    with demo(tmp_path, *choices):
        other = _pulse(
            "demo", "--data-dir", str(tmp_path / "data"), "--port", "0", "--mqtt-port", "0", *choices
        )
        assert other.returncode == 1
        assert "another demo is running" in other.stderr
    different = _pulse(
        *("demo", "--data-dir", str(tmp_path / "data"), "--port", "0", "--mqtt-port", "0"),
        *("--devices", "9", "--time-scale", "20", "--no-history"),
    )
    assert different.returncode == 2
    assert "--data-dir" in different.stderr
    assert json.dumps(7) in different.stderr


def test_simulated_devices_sign_in_and_nobody_else_comes_in(tmp_path: Path) -> None:
    with demo(tmp_path, "--devices", "7", "--time-scale", "20", "--no-history") as running:
        path = tmp_path / "data" / "device-passwords"
        known = load_passwords(path)
        assert len(known) == len(fleet(SEED, 7).devices)
        assert path.stat().st_mode & 0o777 == 0o600
        assert str(path) in running.output()
        assert not any(password in running.output() for password in known.values())
        port = int(running.mqtt.rpartition(":")[2])
        assert Client(port, "stranger").refused
        running.wait_for(RATE, lambda rate: rate["running"] > 0, CERTAIN_WITHIN_S)


def test_what_a_killed_demo_leaves_behind_ends_without_a_word(tmp_path: Path) -> None:
    """kill -9 takes the demo alone; its broker and its devices are processes of their own."""
    with demo(tmp_path, "--devices", "7", "--time-scale", "20", "--no-history") as running:
        running.wait_for(RATE, lambda rate: rate["running"] > 0, CERTAIN_WITHIN_S)
        tasks = Path(f"/proc/{running.process.pid}/task")
        left = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        assert len(left) >= 1
        printed = running.output()
        running.process.kill()
        running.process.wait()
        ended_by = time.monotonic() + 60
        while any(_is_running(pid) for pid in left):
            assert time.monotonic() < ended_by, "still there"
            time.sleep(0.1)
        assert "Traceback" not in running.output().removeprefix(printed)


def _is_running(pid: str) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _pulse(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pulse", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow
def test_the_whole_fleet_of_826_shows_811_within_four_minutes(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        rate = running.wait_for(
            RATE, lambda r: r["determined"] and (r["running"], r["total"]) == (811, 826), 240
        )
        assert rate["percent"] == "98.2"


@pytest.mark.slow
def test_the_embedded_broker_carries_the_whole_fleet_too(tmp_path: Path) -> None:
    with demo(tmp_path, "--embedded-broker", "--time-scale", "2", "--no-history") as running:
        rate = running.wait_for(
            RATE, lambda r: r["determined"] and (r["running"], r["total"]) == (811, 826), 240
        )
        assert rate["percent"] == "98.2"
        assert running.interrupt() < 5.0

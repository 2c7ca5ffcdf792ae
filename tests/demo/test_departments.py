"""Data sharing in the demo as a user sees it: 8 of 8, 7 when a department stops, and back."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.demo.running import RunningDemo, demo

RATIO = "/api/v1/indicators/data-sharing-ratio"
SHARED_WITHIN_S = 120.0
FALLS_OUT_WITHIN_S = 120.0
BACK_WITHIN_S = 60.0
CHOICES = ("--devices", "300", "--time-scale", "10", "--no-history")


def control(folder: Path, *what: str) -> str:
    """What a user types to tell a department something."""
    command = [sys.executable, "-m", "pulse", "simulate-departments", "control"]
    done = subprocess.run(
        [*command, "--state", str(folder / "data/departments"), *what],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def of_eight(running: RunningDemo, shared: int, within_s: float) -> Any:
    """The ratio once that many of eight kinds are shared."""
    return running.wait_for(RATIO, lambda r: (r["shared"], r["collectable"]) == (shared, 8), within_s)


def states(ratio: Any) -> dict[str, str]:
    return {kind["id"]: kind["state"] for kind in ratio["kinds"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("department", "data_kind"),
    [("fire", "gas_reading"), ("water", "flow_reading"), ("sanitation", "sorting_record")],
)
def test_a_stopped_department_takes_its_kind_out_and_brings_it_back(
    tmp_path: Path, department: str, data_kind: str
) -> None:
    """Over HTTP, over the bridge, and by pulling."""
    with demo(tmp_path, *CHOICES) as running:
        assert of_eight(running, 8, SHARED_WITHIN_S)["percent"] == "100.0"
        control(tmp_path, department, "stop")
        ratio = running.wait_for(RATIO, lambda r: states(r)[data_kind] == "not_shared", FALLS_OUT_WITHIN_S)
        assert ratio["percent"] == "87.5"
        control(tmp_path, department, "start")
        of_eight(running, 8, BACK_WITHIN_S)
        assert running.interrupt() < 10
        assert "Traceback" not in running.output()


@pytest.mark.slow
def test_what_a_department_forgot_is_found_and_comes_again(tmp_path: Path) -> None:
    with demo(tmp_path, *CHOICES) as running:
        of_eight(running, 8, SHARED_WITHIN_S)
        control(tmp_path, "fire", "forget")
        reports = "/api/v1/sharing/outlets/fire/reports"
        running.wait_for(
            reports, lambda r: bool(r["reports"]) and not r["reports"][0]["agrees"], FALLS_OUT_WITHIN_S
        )
        control(tmp_path, "fire", "start")
        again = subprocess.run(
            [
                *(sys.executable, "-m", "pulse", "outlet", "reconcile", "fire", "--deliver-again"),
                *("--data-dir", str(tmp_path / "data")),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert again.returncode == 0, again.stderr
        assert "fire-" in again.stdout
        running.wait_for(reports, lambda r: r["reports"][0]["agrees"], BACK_WITHIN_S)


@pytest.mark.slow
def test_a_second_start_goes_on_with_the_same_departments(tmp_path: Path) -> None:
    with demo(tmp_path, *CHOICES) as first:
        of_eight(first, 8, SHARED_WITHIN_S)
        first.interrupt()
        assert first.process.returncode == 0
    with demo(tmp_path, *CHOICES) as second:
        of_eight(second, 8, SHARED_WITHIN_S)
        agreed = second.wait_for(
            "/api/v1/sharing/outlets/street/reports", lambda r: bool(r["reports"]), SHARED_WITHIN_S
        )
        assert agreed["reports"][0]["agrees"], agreed
        assert "500" not in control(tmp_path)


def test_a_demo_without_departments_shares_nothing(tmp_path: Path) -> None:
    with demo(
        tmp_path, "--devices", "7", "--time-scale", "20", "--no-history", "--no-departments"
    ) as running:
        assert running.get("/api/v1/sharing/outlets")["outlets"] == []
        assert "simulate-departments" not in running.output()
        assert not (tmp_path / "data/departments").exists()

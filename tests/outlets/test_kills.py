"""A scheduler that is killed without a chance to save anything, between sending and acknowledgement."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pulse.clock import SystemClock
from tests.outlets.department import Department, Received, Reply
from tests.outlets.house import House

PATIENCE_S = 40.0


def scheduler(house: House) -> "subprocess.Popen[bytes]":
    """`pulse scheduler` on the house's data, as a process of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "PULSE_DATA_DIR": str(house.folder),
        "PULSE_LOG_LEVEL": "INFO",
    }
    with (house.folder / "scheduler.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pulse", "scheduler"],
            env=environment,
            cwd=Path(__file__).resolve().parents[2],
            stdout=log,
            stderr=log,
        )


def until(house: House, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, (house.folder / "scheduler.log").read_text(encoding="utf-8")
        time.sleep(0.02)


def test_killed_while_the_department_answers_it_sends_the_same_again(house: House, fire: Department) -> None:
    house.clock.now = SystemClock().now_us()
    house.put(
        {"id": "fire", "mode": "http", "url": fire.url, "data_kinds": ("gas_reading",), "most_records": 2}
    )
    house.keys.make("fire", "hmac-sha256")
    house.hear(*(house.record() for _ in range(4)), after_s=0.001)
    running: list[subprocess.Popen[bytes]] = []

    def killing(got: Received) -> Reply:
        if got.fields["idempotency-key"] == "fire-2" and len(running) == 1:
            running[0].send_signal(signal.SIGKILL)
            running[0].wait()
        return Reply()

    fire.answer = killing
    running.append(scheduler(house))
    try:
        until(house, lambda: running[0].poll() is not None)
        assert fire.ids() == ["fire-1", "fire-2"]
        assert [receipt.delivery for receipt in house.receipts()] == ["fire-1"]
        assert house.deliveries("fire")[1].state == "waiting"
        running.append(scheduler(house))
        # Its claim was the killed one's: nobody waits for that to end.
        until(house, lambda: len(house.receipts()) == 2)
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert fire.ids() == ["fire-1", "fire-2", "fire-2"]
    first, again = fire.received[1:]
    assert first.body == again.body
    assert first.fields["content-digest"] == again.fields["content-digest"]
    records = [record["id"] for got in fire.received[:2] for record in json.loads(got.body)["records"]]
    assert records == [f"{n:016x}" for n in range(1, 5)]

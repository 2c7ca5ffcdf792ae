"""What the demo promises in seconds: ready, 811 of 826 from live traffic, and gone after Ctrl-C."""

import time
from pathlib import Path

from tests.demo.running import demo

RATE = "/api/v1/indicators/online-rate"


def test_the_demo_is_ready_reaches_its_rate_and_ends_in_the_promised_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with demo(tmp_path) as running:
        ready_s = time.monotonic() - began
        running.wait_for(RATE, lambda rate: (rate["running"], rate["total"]) == (811, 826), 240)
        reached_s = time.monotonic() - began
        ended_s = running.interrupt()
    began = time.monotonic()
    with demo(tmp_path) as again:
        again_s = time.monotonic() - began
        again.interrupt()
    print(
        f"\nthe demo: ready after {ready_s:.1f} s, 811/826 after {reached_s:.0f} s, "
        f"ended {ended_s:.1f} s after Ctrl-C, started again in {again_s:.1f} s"
    )
    assert ready_s < 20
    assert reached_s < 240
    assert ended_s < 5

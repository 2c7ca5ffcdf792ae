"""The README's first device is registered by the lines that stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pulse.stores.relational import registry
from pulse.stores.relational.database import Database

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_the_first_device_is_registered_and_commissioned(document: str, tmp_path: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "registry import" in b]
    lines = [line for line in block.splitlines() if "pulse serve" not in line and "mosquitto_pub" not in line]
    script = "\n".join(lines).replace(".venv/bin/pulse", f"{sys.executable} -m pulse")
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PULSE_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    db = Database(f"sqlite:///{tmp_path / 'data' / 'pulse.db'}")
    with db.read() as connection:
        (device,) = registry.devices(connection)
    db.close()
    assert (device.id, device.community, device.kind) == ("gas-001", "xinjinglou", "gas_alarm")
    assert device.commissioned_us is not None

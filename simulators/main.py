"""What `pulse simulate` does, apart from its options."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from pulse.errors import BadInput
from pulse.ids import is_id
from pulse.settings import Broker
from simulators import runner
from simulators.runner import EVERYONE, Progress
from simulators.scenario import DEFAULT, load


def simulate(
    broker_url: str,
    *,
    stop: threading.Event,
    seed: int = 1,
    scenario_file: Path | None = None,
    devices: int | None = None,
    time_scale: float = 1.0,
    passwords_file: Path | None = None,
    ca_file: Path | None = None,
    certificates: Path | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Progress:
    """Run a fleet against a broker until `stop` is set; `say` takes one line of progress now and then.

    Raises `BadInput` for a scenario, passwords file or number that cannot be accepted, `SettingsError` for
    the address and `Missing` where the machine does not allow enough connections.
    """
    return runner.run(
        Broker(broker_url),
        DEFAULT if scenario_file is None else load(scenario_file),
        seed=seed,
        devices=devices,
        time_scale=time_scale,
        stop=stop,
        report=lambda progress: say(shown(progress)),
        passwords=None if passwords_file is None else load_passwords(passwords_file),
        ca_file=ca_file,
        certificates=certificates,
    )


def shown(progress: Progress) -> str:
    """One line about how the simulation stands, in Chinese and English."""
    line = (
        f"模拟 simulation {progress.elapsed_s:.0f} s: "
        f"连接 connected {progress.connected}/{progress.wanted} (设备 devices {progress.devices}), "
        f"心跳 beats {progress.beats} ({progress.beats_per_s:.1f}/s)"
    )
    extras = (
        ("数据记录 records", progress.records),
        ("断线 lost", progress.lost),
        ("被拒 refused", progress.refused),
        ("漏发 missed", progress.missed),
    )
    line += "".join(f", {words} {number}" for words, number in extras if number)
    return f"{line}; {progress.trouble}" if progress.trouble else line


def load_passwords(path: Path) -> Mapping[str, str]:
    """Passwords by device id from lines `device:password`; `*:password` is for all that are not named.

    Empty lines and lines that begin with `#` are passed over. Raises `BadInput` naming file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", where=str(path)) from error
    passwords: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        device, colon, password = line.partition(":")
        where = f"{path}: line {number}"
        if not colon or not password:
            raise BadInput("not of the form device:password", where=where)
        if device != EVERYONE and not is_id(device):
            raise BadInput("what stands before the colon is neither a device id nor *", where=where)
        if device in passwords:
            raise BadInput(f"{device} is there twice", where=where)
        passwords[device] = password
    return passwords

"""Which process this is, in words that another one of the same machine can check."""

import os
from pathlib import Path

_START_TIME_FIELD = 22
"""Of /proc/PID/stat, see proc_pid_stat(5); counted after the name, which is field 2."""


def this_process() -> str:
    """A name that no other process has, before or after: boot, process namespace, number, start."""
    return f"{_world()} {os.getpid()} {_started(os.getpid())}"


def is_gone(process: str) -> bool:
    """Whether the process of that name is known to have ended; False where this machine cannot tell."""
    world, _, rest = process.partition(" ")
    number, _, started = rest.partition(" ")
    if world != _world() or not number.isdigit():
        return False
    return _started(int(number)) != started


def _world() -> str:
    """The boot of this machine and the namespace in which process numbers are counted."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _started(number: int) -> str:
    """When it started, in ticks since the boot; empty if there is none, or a dead one not yet collected."""
    try:
        status = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # The name may hold anything, brackets too.
    state, *fields = status.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[_START_TIME_FIELD - 4]

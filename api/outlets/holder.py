"""The name of a process among all that send, and whether one that holds a claim is gone."""

import contextlib
import os
import secrets
import socket
from pathlib import Path

_NAMESPACE = Path("/proc/self/ns/pid")
_PARTS = 4


def holder_name() -> str:
    """Host, the process ids' namespace, process id, and what no other start of it shares."""
    return f"{_place()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_gone(holder: str, own: str) -> bool:
    """Whether a holder was a process here that is no more; False where nobody can tell.

    A container that was started again has its host name and process id from before: a holder that has ours,
    and is not us, is what ran before us.
    """
    place, _, rest = holder.rpartition(":")[0].rpartition(":")
    if len(holder.split(":")) != _PARTS or place != _place() or holder == own:
        return False
    if not rest.isdigit():
        return False
    pid = int(rest)
    if pid == os.getpid():
        return pid == _pid_of(own)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _pid_of(holder: str) -> int | None:
    parts = holder.split(":")
    return int(parts[-2]) if len(parts) == _PARTS and parts[-2].isdigit() else None


def _place() -> str:
    namespace = "-"
    with contextlib.suppress(OSError):
        namespace = str(_NAMESPACE.readlink()).strip("pid:[]")
    return f"{socket.gethostname().replace(':', '-')}:{namespace}"

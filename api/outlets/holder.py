"""The name of a process among all that send, and whether one that holds a claim is gone."""

import contextlib
import os
import secrets
import socket
from pathlib import Path

_NAMESPACE = Path("/proc/self/ns/pid")
_PARTS = 4
_OURS: set[str] = set()
"""The names that this process gave itself: one for each of its schedulers."""


def holder_name() -> str:
    """Host, the process ids' namespace, process id, and what no other start of it shares."""
    name = f"{_place()}:{os.getpid()}:{secrets.token_hex(4)}"
    _OURS.add(name)
    return name


def is_gone(holder: str) -> bool:
    """Whether a holder was a process here that is no more; False where nobody can tell.

    A container that was started again has its host name and process id from before: a holder that has ours,
    and is none of us, is what ran before us.
    """
    place, _, rest = holder.rpartition(":")[0].rpartition(":")
    if len(holder.split(":")) != _PARTS or place != _place() or holder in _OURS or not rest.isdigit():
        return False
    pid = int(rest)
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _place() -> str:
    namespace = "-"
    with contextlib.suppress(OSError):
        namespace = str(_NAMESPACE.readlink()).strip("pid:[]")
    return f"{socket.gethostname().replace(':', '-')}:{namespace}"

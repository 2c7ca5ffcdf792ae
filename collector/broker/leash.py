"""Tie a process to the one that started it: `python -m collector.broker.leash PARENT_PID COMMAND…`.

The command takes this process's place, and the kernel ends it when the parent is gone, however the parent
went; so a killed demo leaves no broker behind.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with(parent_pid: int) -> None:
    """Have the kernel send SIGTERM to this process when its parent (`parent_pid`) ends.

    The kernel watches the thread that started this process, so that thread has to live as long. Elsewhere
    than on Linux there is no such watch and the parent's own `stop` has to do.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        # The parent ended before the watch began.
        sys.exit(0)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command is our own, from collector.broker.local

"""A command of ours as a process beside this one."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def running(
    *arguments: str, stops_within_s: float, silent: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """`pulse` with these arguments; it ends with the block, and with us however we end.

    Ctrl-C is for us alone: it goes on until nobody needs it any more.
    """
    command = [
        *(sys.executable, "-m", "collector.broker.leash", str(os.getpid())),
        *(sys.executable, "-m", "pulse", *arguments),
    ]
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if silent else None,
        process_group=0,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(stops_within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

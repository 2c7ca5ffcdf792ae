"""Signals ask a command to stop, whatever it is in the middle of."""

import ctypes
import signal
import subprocess
import sys

import pytest

LOOKING = """
import os, signal, sys, time
from pulse.commands.parts import stop_on_signals
stop = stop_on_signals()
number = int(sys.argv[1])
with stop._cond:  # as the main thread has it whenever it looks whether to stop
    os.kill(os.getpid(), number)
    time.sleep(0.1)
print(stop.wait(10))
"""

IMPATIENT = """
import os, signal, time
from pulse.commands.parts import stop_on_signals
stop = stop_on_signals()
os.kill(os.getpid(), signal.SIGTERM)
assert stop.wait(10)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
except KeyboardInterrupt:
    print("at once")
"""

HEAPS = """
import ctypes, sys, threading
from pulse.commands.parts import stop_on_signals
stop_on_signals()
threads = [threading.Thread(target=lambda: [bytes(1000) for _ in range(1000)]) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def said(script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_the_event_is_looked_at_stops_the_process(number: int) -> None:
    assert said(LOOKING, int(number)) == "True\n"


def test_an_interrupt_after_the_first_signal_ends_the_process_at_once() -> None:
    assert said(IMPATIENT) == "at once\n"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")
def test_threads_that_begin_then_share_the_heap() -> None:
    assert said(HEAPS).count("<heap nr=") == 1

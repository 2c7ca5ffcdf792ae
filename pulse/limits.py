"""Limits of the operating system that would otherwise show as a silent hang, and memory given back to it."""

import contextlib
import ctypes
import gc
import resource
from collections.abc import Iterator

from pulse.errors import Missing

_M_ARENA_MAX = -8
"""`mallopt`'s name for it in glibc's malloc.h."""

SPARE_FILES = 64
"""Descriptors that a process needs beside its connections: databases, logs, pipes, imports."""


def allow_connections(count: int) -> int:
    """Raise this process's limit of open files so that it can hold `count` connections.

    Gives the limit now in force; children inherit it. Raises `Missing` when the machine's hard limit is
    too low, because what follows otherwise is a hang that nobody can explain.
    """
    needed = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed if soft == resource.RLIM_INFINITY else soft
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Missing(
            f"{count} connections need {needed} open files and this machine allows {hard}: raise the hard "
            f"limit (ulimit -Hn {needed} as root, or LimitNOFILE={needed} in the service)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return needed


def share_heap() -> None:
    """Let all threads allocate from one heap; to be called before there are others.

    glibc gives each thread a heap of its own, which keeps what others free of it: a fifth of the memory of a
    collector that drains a backlog. Threads that wait for the interpreter do not wait for the heap. Other
    libraries have no such setting.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Let the system have what the C library keeps of memory that was freed.

    After millions of rows went through, glibc holds on to a third of what they took. Other libraries have no
    such function, nor the need.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def without_cycle_search() -> Iterator[None]:
    """Spare the search for cycles while millions of objects are made that can have none.

    It looks at all that are young each time that some hundreds were made, which takes a third of the time.
    """
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()

"""A lock among processes, given back by the kernel when its holder dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pulse.errors import StoreUnavailable


class FileLock:
    """An exclusive lock on a file beside the one that it protects. One thread of a process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def held(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock; `StoreUnavailable` when it cannot be had within `timeout_s` or not be made."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot open {self._path}: {error.strerror}") from error
        try:
            self._wait(descriptor, time.monotonic() + timeout_s)
            yield
        finally:
            os.close(descriptor)

    def _wait(self, descriptor: int, deadline_s: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise StoreUnavailable(
                        f"another process keeps writing beside {self._path}; stop it or try again"
                    ) from None
                time.sleep(0.005)
            else:
                return

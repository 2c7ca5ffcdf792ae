"""The parts of one installation, opened and closed together, and the threads that work on them."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from pulse import logs
from pulse.clock import Clock, SystemClock
from pulse.errors import PulseError, StoreUnavailable
from pulse.limits import allow_connections, share_heap
from pulse.settings import Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.opening import open_store
from pulse.stores.relational import catalogue
from pulse.stores.relational.database import Database
from pulse.stores.trust import ClockTrust

log = logs.get(__name__)

CONNECTIONS = 1024
"""Browsers, brokers and databases that one process is made ready for."""


class Parts:
    """The opened stores of an installation and its clock."""

    def __init__(self, settings: Settings, db: Database, store: TelemetryStore, clock: Clock) -> None:
        self.settings = settings
        self.db = db
        self.store = store
        self.clock = clock


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Parts]:
    """Open the stores, migrate what is older than the program, and close them at the end.

    A catalogue of kinds of data in which nothing was ever said gets the default kinds.
    """
    logs.configure(settings.log_level)
    allow_connections(CONNECTIONS)
    try:
        # What lies there tells who lives where, and holds the hashes of passwords.
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"PULSE_DATA_DIR: cannot make {settings.data_dir}: {error.strerror}"
        ) from error
    db = Database(settings.relational_url())
    db.open()
    with contextlib.closing(db):
        clock = SystemClock()
        with db.write() as connection:
            catalogue.seed(connection, clock.now_us())
        store = open_store(settings, clock_trusted=ClockTrust(db, clock))
        with contextlib.closing(store):
            yield Parts(settings, db, store, clock)


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set; a second SIGINT ends the process at once.

    Another thread sets it: a handler runs in the main thread in the middle of anything, which may be looking
    at this very event with its lock held.
    """
    # Here begins the first thread beside this one.
    share_heap()
    stop = threading.Event()
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()
    before: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if before and number == signal.SIGINT:
            raise KeyboardInterrupt
        before.append(number)
        # Made to be called from handlers: it takes no lock.
        asked.put(number)

    def obey() -> None:
        asked.get()
        stop.set()

    threading.Thread(target=obey, name="signals", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop


class Workers:
    """Threads that work until `stop`; if one ends by an error, all are told to stop and `failed` says why."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self.failed: BaseException | None = None

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run `work` in a thread of its own."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                if isinstance(error, PulseError):
                    log.error("part_failed", part=name, error=str(error))
                else:
                    log.exception("part_failed", part=name)
                self.failed = error
                self._stop.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def join(self, within_s: float) -> None:
        """Wait for all of them, `within_s` seconds in all."""
        for thread in self._threads:
            thread.join(within_s)
            if thread.is_alive():
                log.warning("part_still_running", part=thread.name, waited_s=within_s)
        if self.failed is not None:
            raise self.failed

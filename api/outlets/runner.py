"""The thread that delivers: looks every second which outlet has something to do, and gives it a thread.

Each outlet has one of its own while it works, so that a department that hangs holds up nobody else.
"""

import threading
import time
from collections.abc import Mapping

from apscheduler.schedulers.background import BackgroundScheduler

from api.context import Context
from api.outlets.holder import holder_name
from api.outlets.outbox import Outbox, is_due
from api.outlets.sending import Post
from api.outlets.timetable import Timetable
from pulse import logs
from pulse.errors import PulseError
from pulse.sharing.catalogue import Catalogue, DataKind
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import catalogue, deliveries, outlets, recordmark

EVERY_S = 1.0
STOP_WITHIN_S = 3.0
"""What is being sent when the process ends is sent again under the same id."""
_MOST_AT_ONCE = 32

_log = logs.get(__name__)


def deliver(context: Context, stop: threading.Event, scheduler: BackgroundScheduler) -> None:
    """Deliver until `stop` is set; what fails is tried again."""
    outbox = Outbox(context)
    timetable = Timetable(scheduler, context, outbox, stop)
    runner = Runner(context, outbox, Post(context, holder_name()), stop)
    while not stop.wait(EVERY_S):
        try:
            timetable.follow(runner.look())
        except PulseError as error:
            _log.warning("delivering_failed", error=str(error))
        except Exception:
            _log.exception("delivering_broken")
    runner.join(STOP_WITHIN_S)


class Runner:
    """Gives outlets that have something to do a thread each."""

    def __init__(self, context: Context, outbox: Outbox, post: Post, stop: threading.Event) -> None:
        self._context = context
        self._outbox = outbox
        self._post = post
        self._stop = stop
        self._threads: dict[str, threading.Thread] = {}
        self._known: tuple[int, list[Outlet]] | None = None
        self._catalogue: tuple[int, Catalogue] | None = None

    def look(self) -> list[Outlet]:
        """Begin what is due now, and give all outlets. Raises `StoreUnavailable`."""
        self._threads = {name: thread for name, thread in self._threads.items() if thread.is_alive()}
        found = self._outlets()
        for outlet in found:
            if len(self._threads) >= _MOST_AT_ONCE:
                break
            if outlet.disabled or outlet.id in self._threads or not self._has_work(outlet):
                continue
            thread = threading.Thread(
                target=self._guarded, args=(outlet,), name=f"outlet-{outlet.id}", daemon=True
            )
            self._threads[outlet.id] = thread
            thread.start()
        return found

    def join(self, within_s: float) -> None:
        """Wait for what is under way, that long in all."""
        deadline_s = time.monotonic() + within_s
        for thread in self._threads.values():
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def advance(self, outlet: Outlet) -> None:
        """Make what is to be delivered at once, and send what waits. Raises `StoreUnavailable`."""
        if outlet.immediate:
            built = self._outbox.build(outlet)
            while built.more and not self._stop.is_set():
                built = self._outbox.build(outlet, at_once=True)
        if outlet.mode != "pull":
            self._post.drain(outlet, self._stop)

    def _guarded(self, outlet: Outlet) -> None:
        try:
            self.advance(outlet)
        except PulseError as error:
            _log.warning("outlet_failed", outlet=outlet.id, error=str(error))
        except Exception:
            _log.exception("outlet_broken", outlet=outlet.id)

    def _outlets(self) -> list[Outlet]:
        with self._context.db.read() as connection:
            version = outlets.version(connection)
            if self._known is None or self._known[0] != version:
                self._known = (version, outlets.current(connection))
        return self._known[1]

    def _in_force(self) -> Mapping[str, DataKind]:
        with self._context.db.read() as connection:
            version = catalogue.version(connection)
            if self._catalogue is None or self._catalogue[0] != version:
                self._catalogue = (version, catalogue.load(connection))
        return self._catalogue[1].in_force(self._context.clock.now_us())

    def _has_work(self, outlet: Outlet) -> bool:
        now_us = self._context.clock.now_us()
        with self._context.db.read() as connection:
            position = outlets.position_of(connection, outlet.id)
            mark = recordmark.read(connection)
            waiting = [] if outlet.mode == "pull" else deliveries.waiting(connection, outlet.id, limit=1)
        if waiting and waiting[0].next_us <= now_us:
            return True
        if not outlet.immediate or mark is None:
            return False
        return position is None or is_due(position, mark, self._in_force(), outlet, now_us)

"""The collector as a whole: three threads around the spool.

The link's thread hears, commits and acknowledges (`intake`), the ledger's thread follows it and writes
the database (`keeper`), a third feeds the telemetry store (`feeder`). None waits for another's store: a
slow or absent telemetry store, or database, only lets the spool grow. All of it waits for the lease of the
installation (`lease`): two collectors on one database would count everything twice.
"""

import secrets
import threading
from collections.abc import Callable

from collector import metrics
from collector.archive import Archive
from collector.feeder import Feeder
from collector.intake import Intake
from collector.keeper import Keeper
from collector.lease import Lease, LeaseLost
from collector.mqtt import Link
from collector.publisher import Publisher
from collector.spool import Spool
from collector.steady import SteadyClock
from pulse import logs
from pulse.clock import Clock, SystemClock
from pulse.errors import PulseError
from pulse.settings import Broker, Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.relational.database import Database

log = logs.get(__name__)

LINK_LEAVES_S = 3.5
FEEDER_ENDS_S = 1.0


class Collector:
    """Hears the broker and keeps the ledger. `db` is open; `store` is opened here, and may be away.

    `mqtt_5` False spares a broker that is known to speak 3.1.1 only the first attempt.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        db: Database,
        store: TelemetryStore,
        clock: Clock | None = None,
        *,
        mqtt_5: bool = True,
    ) -> None:
        self._clock = SteadyClock(clock or SystemClock())
        self.session = secrets.token_hex(4)
        self.spool = Spool(settings.data_dir / "spool.db", self._clock, max_bytes=settings.spool_max_bytes)
        self.intake = Intake(settings, self.spool, self._clock)
        self.link = Link(
            broker,
            settings.mqtt_client_id,
            self.intake,
            self._clock,
            ca_file=settings.mqtt_ca_file,
            mqtt_5=mqtt_5,
            batch_reader=settings.mqtt_reader == "batch",
        )
        self.intake.link = self.link
        self.lease = Lease(db, self._clock, self.session)
        self.feeder = Feeder(self.spool, store, db, self._clock, self.lease)
        archive = Archive(db, store, self.spool, self.feeder.store_answers)
        self.keeper = Keeper(
            settings,
            db,
            store,
            self.spool,
            archive,
            self.intake,
            Publisher(self.link),
            self._clock,
            self.session,
            self.lease,
        )
        self._failure: tuple[str, BaseException] | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then leave within five seconds with everything received on disk.

        Raises `PulseError` if a thread ended that should not have, `LeaseLost` if another collector took
        over; then nothing works any more.
        """
        try:
            with metrics.registered(metrics.SpoolAtScrape(self.spool.depth, self._clock)):
                if self.lease.acquire(stop):
                    self._work(stop)
        finally:
            self.lease.release()
            self.spool.close()
        log.info("collector_stopped")
        if self._failure is not None:
            name, error = self._failure
            if isinstance(error, LeaseLost):
                raise error
            raise PulseError(f"the collector's thread {name} ended: {error!r}") from error

    def _work(self, stop: threading.Event) -> None:
        # The ledger may need the telemetry store to start, so the feeder, which opens it, goes first.
        feeder_stop, link_stop, keeper_stop, over = (threading.Event() for _ in range(4))
        feeder = self._thread("feeder", self.feeder.run, feeder_stop, stop)
        leasing = self._thread("lease", self.lease.keep, over, stop)
        feeder.start()
        leasing.start()
        try:
            if not self.keeper.prepare(stop):
                return
            link = self._thread("link", self.link.run, link_stop, stop)
            keeper = self._thread("keeper", self.keeper.run, keeper_stop, stop)
            link.start()
            keeper.start()
            log.info("collecting", client_id=self.link.client_id, session=self.session)
            stop.wait()
            self.intake.stopping()
            link_stop.set()
            self.link.wake()
            link.join(LINK_LEAVES_S)
            keeper_stop.set()
            keeper.join()
        finally:
            feeder_stop.set()
            over.set()
            feeder.join(FEEDER_ENDS_S)
            leasing.join(FEEDER_ENDS_S)

    def _thread(
        self, name: str, work: Callable[[threading.Event], None], own: threading.Event, stop: threading.Event
    ) -> threading.Thread:
        def guarded() -> None:
            try:
                work(own)
            except BaseException as error:
                if isinstance(error, LeaseLost):
                    log.error("lease_lost", error=str(error))
                else:
                    log.exception("thread_failed", thread=name)
                self._failure = self._failure or (name, error)
                stop.set()

        return threading.Thread(target=guarded, name=f"collector-{name}", daemon=True)

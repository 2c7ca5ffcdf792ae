"""From the spool to the database: the ledger's thread.

It follows what the intake tells: applies the batches, obeys the coverage machine, lets time pass, and
writes each step in one transaction together with the watermark that covers it. A step that the database
does not take is tried again until it does; meanwhile the spool grows and nothing is lost.
"""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from sqlalchemy import Connection

from collector import metrics, recovery
from collector.archive import WINDOW_MESSAGES, Archive
from collector.booksreader import BooksReader
from collector.coverage import Record
from collector.datakinds import DataKinds
from collector.flapping import Flappers
from collector.incidents import Incidents
from collector.intake import Intake, Told
from collector.lease import Lease, LeaseLost
from collector.publisher import Publisher
from collector.records import Step, is_open, obeyed, tells_coverage, write
from collector.recovery import Books, Judged
from collector.redeliveries import REMEMBERED
from collector.spool import Batch, Spool
from collector.steady import SteadyClock
from collector.strangers import Strangers
from collector.telling import Teller
from pulse import logs
from pulse.batches import Flags, columns_of, joined
from pulse.clock import SECOND_US, to_iso
from pulse.errors import PulseError, StoreUnavailable
from pulse.ledger.engine import Engine
from pulse.ledger.flapping import FlapTerms
from pulse.ledger.model import FOREVER, Blind
from pulse.ledger.outcome import Outcome
from pulse.limits import give_back_memory
from pulse.settings import Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import catalogue, coverage, meta, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database

log = logs.get(__name__)

STEP_MESSAGES = 30_000
"""Of a backlog: what a step takes is by half the devices that it touches, not the messages."""
BACKLOG_STEP_S = 0.5
WATERMARK_S = 1.0
REGISTRY_S = 1.0
TRIM_S = 10.0
SNAPSHOT_S = 10.0
SNAPSHOT_BYTES_PER_S = 2_000_000
SNAPSHOT_SHARE = 0.02
"""Of the time at most: a large fleet's snapshots come less often, and a restart applies more messages."""
KEEP_SPOOLED_US = 30 * SECOND_US
"""What is this recent the broker may still deliver again after a restart."""
MOST_PUBLISHED_AT_START = 20_000
MOST_POSTPONED = 200_000
MOST_HELD = 15_000
"""Messages of a backlog that wait for the telemetry store before the ledger reads no further: the rest waits
in the spool, where it takes no memory."""
MOST_JUDGED_ANEW = 200
"""Devices in one step, so that deadlines are noticed meanwhile."""
RECENT_BATCHES = 1_000
BATCHES_AT_ONCE = 16
MESSAGES_AT_ONCE = 2_000
"""Of the spool that are read at once at the start; at least one batch."""
_DUE = ("watermark", "registry", "coverage", "trim", "snapshot")


class Keeper:
    """Owns the engine. `prepare` once, then `run`; both in one thread."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        store: TelemetryStore,
        spool: Spool,
        archive: Archive,
        intake: Intake,
        publisher: Publisher,
        clock: SteadyClock,
        session: str,
        lease: Lease,
    ) -> None:
        self._settings = settings
        self._db = db
        self._store = store
        self._spool = spool
        self._archive = archive
        self._intake = intake
        self._publisher = publisher
        self._clock = clock
        self._session = session
        self._lease = lease
        self._engine: Engine
        self._books: Books
        self._incidents: Incidents
        self._flappers: Flappers
        self._flap_terms = FlapTerms(settings.flap_changes, settings.flap_window_us())
        self._applied = 0
        self._through_us = 0
        self._listening = False
        self._waiting: deque[Told] = deque()
        self._postponed = columns_of(())
        self._held = False
        self._strangers = Strangers()
        self._teller = Teller(db, spool, intake, publisher, clock)
        self._told_waiting: int | None = None
        """How many messages wait for the telemetry store, as the database has it."""
        self._own_spool = True
        self._noted = False
        """Whether the database says that its ledger is written from this spool."""
        self._judged: Judged | None = None
        """By what its ledger was judged, as the database has it."""
        self._introduced: list[str] = []
        """Devices that the engine has heard nothing of, and that may have said something lately."""
        self._stepped_s = 0.0
        self._catalogue: int | None = None
        """The version of the catalogue by which records are judged."""
        self._reader = BooksReader(db, settings)
        self._due = dict.fromkeys(_DUE, 0.0)

    # -- starting ------------------------------------------------------------------------------------

    def prepare(self, stop: threading.Event) -> bool:
        """Bring the ledger to where the last process left it; False if stopped before."""
        wait_s = 0.2
        while not stop.is_set():
            try:
                self._recover()
                with self._db.write() as connection:
                    self._intake.identify_by(recovery.identifier(connection))
            except StoreUnavailable as error:
                log.warning("waiting_to_start", error=str(error), retry_s=wait_s)
                stop.wait(wait_s)
                wait_s = min(wait_s * 2, 5.0)
            else:
                self._hand_over()
                return True
        return False

    def _recover(self) -> None:
        self._reader.forget()
        with self._db.read() as connection:
            self._books = recovery.read_books(connection, self._settings, self._host_us())
            self._intake.registry = self._books.fleet
            self._take_catalogue(connection)
            self._teller.begin(connection)
            # A snapshot beside which another collector has gone on writing is of the past.
            self._own_spool = recovery.is_own(connection, self._spool)
            snapshot = self._spool.load_snapshot() if self._own_spool else None
            found = recovery.restored(snapshot, self._books, self._archive, self._settings)
            if found is None:
                found = recovery.rebuilt(connection, self._store, self._books, self._archive, self._settings)
            self._engine, self._through_us, self._applied, judged, _ = found
            if judged is not None:
                then = recovery.judged_by(connection, judged, self._books, self._settings)
                if then is not None:
                    self._engine.was_judged_by(then, self._written_until_us())
            self._judged = recovery.read_judged(connection)
            self._incidents = Incidents(connection, self._engine, self._books.fleet, self._through_us)
            self._flappers = Flappers(connection, self._flap_terms, self._through_us)
        self._postponed = columns_of(())
        self._strangers.forget()
        give_back_memory()
        self._begin_archive()
        with self._db.read() as connection:
            self._introduced = recovery.introduced(
                connection, found, self._books, self._archive, self._settings
            )
        log.info(
            "ledger_restored",
            devices=len(self._books.fleet),
            from_snapshot=found.seq > 0,
            judged_anew=self._engine.waiting,
            through=to_iso(self._through_us),
        )

    def _written_until_us(self) -> int:
        """Nothing later was judged and written by an earlier process."""
        if not self._own_spool:
            return self._host_us()
        newest = self._spool.read_after(self._spool.last_seq() - 1, limit=1)
        return max([self._books.through_us or 0, *(batch.written_us for batch in newest)])

    def _host_us(self) -> int:
        """The host's time, by which people's entries are recorded."""
        return self._clock.now_us() + min(0, self._clock.drift_us())

    def _begin_archive(self) -> None:
        """Fill the window with what is applied and still in the spool."""
        begin = self._spool.seq_before_newest(WINDOW_MESSAGES, RECENT_BATCHES)
        began = False
        for batch in self._spooled(begin):
            if batch.seq > self._applied:
                continue
            if not began and len(batch.messages):
                self._archive.begin(int(batch.messages.observed.min()), self._applied)
                began = True
            self._archive.remember(batch.messages)
        if not began:
            self._archive.begin(self._through_us, self._applied)

    def _hand_over(self) -> None:
        """Give the intake what the last process knew of coverage and of the messages received last."""
        books = self._books
        with self._db.read() as connection:
            proof = recovery.read_proof(connection)
        still_open = next((b for b in books.blinds if is_open(b)), None)
        proved_us, dropped = (proof.at_us, proof.dropped) if proof else (books.start_us or 0, None)
        ahead_us = self._clock.not_before(max(books.through_us or 0, self._through_us, proved_us))
        if ahead_us > SECOND_US:
            log.error(
                "clock_behind",
                seconds=round(ahead_us / SECOND_US, 1),
                consequence="times run ahead of the host's clock until it has caught up",
            )
        self._intake.begin(
            books.start_us,
            proved_us,
            still_open,
            dropped,
            own_spool=self._own_spool,
            through_us=books.through_us or 0,
        )
        # Of a gap every doubt counts, however long ago it arose.
        wanted = (REMEMBERED, None) if still_open is None else (FOREVER, RECENT_BATCHES)
        for batch in self._spooled(self._spool.seq_before_newest(*wanted)):
            self._intake.remember(batch.messages, still_open, batch.records)
        give_back_memory()

    def _spooled(self, seq: int) -> Iterator[Batch]:
        """The batches after `seq`, a few at a time: what they lay in on disk takes as much memory as they."""
        while batches := self._spool.read_after(seq, limit=BATCHES_AT_ONCE, items=MESSAGES_AT_ONCE):
            seq = batches[-1].seq
            yield from batches
            # Not beside the next ones.
            del batches

    def state_of(self, device: str) -> str | None:
        """The slug of a device's state as the ledger has it now; for the keeper's own thread."""
        status = self._engine.status(device)
        return None if status is None else status.state.slug

    # -- running -------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Follow the intake until `stop` is set and nothing is left to do. Raises `LeaseLost`."""
        if len(self._books.fleet) <= MOST_PUBLISHED_AT_START:
            self._publish_all()
        while True:
            self.collect(0.2)
            try:
                if not self.follow(hurry=stop.is_set()) and stop.is_set():
                    break
            except StoreUnavailable as error:
                metrics.DATABASE_FAILURES.inc()
                log.warning("database_unavailable", error=str(error))
                if stop.is_set():
                    return
                self._again(stop, 1.0)
            except LeaseLost:
                raise
            except Exception:
                metrics.LEDGER_FAILURES.inc()
                log.exception("ledger_failed", action="rebuilding it from its snapshot")
                if stop.is_set():
                    return
                self._again(stop, 5.0)
            else:
                self.keep_house()
        self.end()

    def end(self) -> None:
        """Leave what the next process starts from."""
        self._save_snapshot()

    def follow(self, *, hurry: bool) -> bool:
        """Take the next step if something was told that must not wait, or `hurry`; whether it was taken.

        A step that fails, or is held up by a telemetry store that is behind, stands to be taken again.
        """
        if not self._waiting or (self._can_wait() and not hurry):
            return False
        self._stepped_s = self._clock.monotonic_s()
        if not self._step(self._waiting[0]):
            return False
        self._waiting.popleft()
        return True

    def _again(self, stop: threading.Event, wait_s: float) -> None:
        """The engine may be in the middle of something: bring it back to its snapshot before trying again."""
        while not stop.wait(wait_s):
            try:
                self._recover()
            except PulseError as error:
                log.warning("waiting_for_stores", error=str(error))
            else:
                return

    def collect(self, wait_s: float) -> None:
        """Take what the intake told; news without actions are covered by the next."""
        try:
            idle = not self._waiting or self._held or self._can_wait()
            told = self._intake.told.get(timeout=wait_s if idle else 0)
            while True:
                self._teller.received(told.through_us)
                if self._waiting and not self._waiting[-1].actions and not told.actions:
                    self._waiting.pop()
                self._waiting.append(told)
                told = self._intake.told.get_nowait()
        except queue.Empty:
            return

    def _can_wait(self) -> bool:
        """Whether to let a backlog gather: nobody waits for its deadlines, and more at once is less work."""
        told = self._waiting[-1]
        return (
            len(self._waiting) == 1
            and not (told.listening or self._listening or told.actions)
            and self._clock.monotonic_s() - self._stepped_s < BACKLOG_STEP_S
        )

    def _step(self, told: Told) -> bool:
        """Catch up with what was told, and write it down; False where that has to wait."""
        self._introduce()
        self._judge_anew()
        while self._applied < told.seq:
            if self._is_held():
                return False
            batches = self._read(told.seq)
            if not batches:
                break
            last = batches[-1]
            if last.seq >= told.seq:
                self._advance(batches, told)
                return True
            # Not as of when it was written: what was heard before that may stand in the next batch.
            heard = [int(batch.messages.observed[-1]) for batch in batches if len(batch.messages)]
            now_us = max([self._through_us, *heard])
            step = self._apply(batches, now_us)
            self._write(step, None, last.seq)
            self._applied = last.seq
            self._observe(step)
        self._advance([], told)
        return True

    def _is_held(self) -> bool:
        """Whether of a backlog enough waits for the telemetry store; what that can answer by now is taken in.

        Nobody waits for the deadlines of a backlog, so the ledger may. It says that it is at work.
        """
        self._held = not self._listening and len(self._postponed) >= MOST_HELD
        if self._held:
            step = self._apply([], self._through_us)
            self._write(step, None, self._applied, held=True)
            self._observe(step)
            self._held = len(self._postponed) >= MOST_HELD
        return self._held

    def _introduce(self) -> None:
        """Count what devices said lately that were registered after the snapshot, and not noticed before."""
        names, self._introduced = self._introduced, []
        if not names:
            return
        fleet, new = self._books.fleet, self._books.fleet.positions(names)
        step = Step([], [], [], [], [], [])
        step.add(self._count_lately(lambda ids: np.isin(fleet.positions(ids), new), self._through_us))
        self._write(step, None, self._applied)
        self._observe(step)

    def _count_lately(self, chosen: Callable[[Sequence[str]], Flags], now_us: int) -> Outcome:
        """Count what devices said within the archive's window, of whom `chosen` says which are meant."""
        return self._engine.apply(self._archive.recent_where(chosen), now_us)

    def _judge_anew(self) -> None:
        """Judge by changed terms what was heard before they were noticed; nothing else is unwritten then."""
        reach_us = self._engine.waiting_since
        if reach_us is None or not self._archive.reaches(reach_us):
            return
        step = Step([], [], [], [], [], [])
        step.add(self._engine.judge_anew(self._through_us, MOST_JUDGED_ANEW))
        self._write(step, None, self._applied)
        self._observe(step)

    def _read(self, until: int) -> list[Batch]:
        chosen: list[Batch] = []
        count = 0
        for batch in self._spool.read_after(self._applied, limit=64, items=STEP_MESSAGES):
            if batch.seq > until or (chosen and count + len(batch.messages) > STEP_MESSAGES):
                break
            chosen.append(batch)
            count += len(batch.messages)
        return chosen

    def _advance(self, batches: Sequence[Batch], told: Told) -> None:
        """The last batches, what became known of coverage, and time itself: one transaction."""
        now_us = max(told.through_us, self._through_us)
        # Judged as of its own time: after a pause, deadlines that passed meanwhile wait for what is known
        # of coverage by now.
        step = self._apply(batches, min(batches[-1].written_us, now_us) if batches else self._through_us)
        said = self._said_of_coverage()
        if said is not None:
            self._books = self._books._replace(heard=said[0], blinds=said[1])
        fresh = self._changed_registry()
        if said is not None or tells_coverage(told.actions):
            # Before time passes: a deadline inside a blind interval makes nobody offline.
            start_us, blinds = obeyed(self._books, told.actions)
            self._books = self._books._replace(start_us=start_us, blinds=blinds)
            step.add(self._engine.set_coverage(start_us, blinds, now_us))
        if fresh is not None:
            step.add(self._register(fresh, now_us))
        step.add(self._engine.sweep(now_us))
        step.actions.extend(told.actions)
        self._write(step, told._replace(through_us=now_us), told.seq)
        self._applied = max(self._applied, told.seq)
        self._through_us = now_us
        self._listening = told.listening
        self._observe(step)

    def _apply(self, batches: Sequence[Batch], now_us: int) -> Step:
        """Let the engine take the messages; those that need a store that does not answer wait."""
        fresh = joined([batch.messages for batch in batches])
        messages = joined([self._postponed, fresh])
        answered = self._archive.can_answer(self._books.fleet, messages)
        ready, waiting = (
            (messages, columns_of(()))
            if answered.all()
            else (
                messages.take(answered),
                messages.take(~answered),
            )
        )
        if len(waiting) > MOST_POSTPONED:
            raise StoreUnavailable(f"{len(waiting)} late messages wait for the telemetry store")
        outcome = self._engine.apply(ready, now_us)
        self._archive.remember(ready)
        self._postponed = waiting
        return Step(
            list(outcome.rebuilt),
            list(outcome.runs),
            list(outcome.transitions),
            [item for batch in batches for item in batch.quarantined],
            self._strangers.among(fresh, self._books.fleet),
            [],
        )

    # -- writing -------------------------------------------------------------------------------------

    def _write(self, step: Step, told: Told | None, seq: int, *, held: bool = False) -> None:
        """Write a step down, which ends with batch `seq`; `held`: no time passes, and that is told."""
        now_s = self._clock.monotonic_s()
        at_us = self._through_us if told is None else told.through_us
        self._incidents.observe(step.transitions, self._books.fleet, at_us)
        damping = self._flappers.observe(step.transitions, self._books.fleet, at_us)
        figures = self._teller.changed_figures(self._engine.counts, now_s) if told is not None else None
        if not (any(step) or damping.news) and figures is None and now_s < self._due["watermark"]:
            return
        judged = None if self._engine.waiting else self._judging()
        mark = None
        if told is not None:
            mark = Watermark(told.through_us, told.listening, self._clock.now_us(), self._session)
        elif held and self._noted:
            mark = Watermark(self._through_us, self._listening, self._clock.now_us(), self._session)
        with self._db.write() as connection:
            self._lease.renew(connection)
            if not self._noted:
                recovery.write_own(connection, self._spool)
            recovery.write_through(connection, seq)
            if judged not in (None, self._judged):
                recovery.write_judged(connection, judged)
            # In the order in which people's decisions lock: an incident's row, then the order of events.
            self._incidents.write(connection, at_us)
            write(connection, step, self._books, figures, mark, at_us, damping)
            waiting = len(self._postponed)
            # Fewer only with a watermark: on the way back to it, those that waited may still lie ahead.
            tells_waiting = waiting > (self._told_waiting or 0) or told is not None
            if tells_waiting and waiting != self._told_waiting:
                coverage.set_waiting(connection, waiting)
            standing = self._teller.standing(now_s)
            if standing is not None:
                standing.write(connection)
        self._noted = True
        self._judged = judged or self._judged
        if tells_waiting:
            self._told_waiting = waiting
        self._due["watermark"] = now_s + WATERMARK_S
        self._teller.written(figures, at_us, standing, now_s)

    def _judging(self) -> Judged:
        """By what the engine judges."""
        return Judged(self._books.version, self._books.read_us)

    # -- beside the steps ----------------------------------------------------------------------------

    def keep_house(self) -> None:
        """What is due beside the steps."""
        now_s = self._clock.monotonic_s()
        self._teller.look(self._engine.counts, self._through_us, now_s)
        if now_s >= self._due["trim"]:
            self._due["trim"] = now_s + TRIM_S
            with contextlib.suppress(StoreUnavailable):
                # The disk that refuses this refuses the next batch too, and that is told.
                self._trim()
        if now_s >= self._due["snapshot"]:
            size = self._save_snapshot()
            ended_s = self._clock.monotonic_s()
            self._due["snapshot"] = ended_s + max(
                SNAPSHOT_S, size / SNAPSHOT_BYTES_PER_S, (ended_s - now_s) / SNAPSHOT_SHARE
            )
        self._watch_clock()
        for damage in self._spool.damages():
            # Not as of the watermark: what is known by then may have been published.
            now_us = self._through_us + 1
            lost = Blind(damage.oldest_us, damage.written_us, now_us, cause="spool_damaged")
            self._waiting.appendleft(Told(self._applied, now_us, self._listening, [Record(lost)]))

    def _save_snapshot(self) -> int:
        """Keep what was worked out, and let go of what it covers; gives the bytes written."""
        if len(self._postponed) or self._engine.waiting:
            return 0
        try:
            size = self._spool.save_snapshot(
                recovery.saved(self._engine, self._through_us, self._judging()), self._applied
            )
            self._trim()
        except StoreUnavailable as error:
            log.warning("snapshot_not_saved", error=str(error))
            return 0
        return size

    def _trim(self) -> None:
        """Let go of what is covered, and note how far the telemetry store has come."""
        # While a backlog is being drained its messages stay, so that a crash forgets no doubt of it.
        self._spool.trim(self._clock.now_us() - KEEP_SPOOLED_US if self._listening else 0)

    def _changed_registry(self) -> Books | None:
        """The books once they have changed; deadlines go on while they are read."""
        if self._reader.busy:
            fresh = self._reader.taken()
            if fresh is not None:
                log.info("registry_changed", devices=len(fresh.fleet))
            return fresh
        now_s = self._clock.monotonic_s()
        if now_s < self._due["registry"]:
            return None
        self._due["registry"] = now_s + REGISTRY_S
        with self._db.read() as connection:
            self._take_catalogue(connection)
            if registry.version(connection) != self._books.version:
                self._reader.start(self._host_us())
        return None

    def _take_catalogue(self, connection: Connection) -> None:
        """Let records be judged by the catalogue as it is now, if it has changed."""
        version = catalogue.version(connection)
        if version != self._catalogue:
            self._intake.records.kinds = DataKinds(catalogue.load(connection), self._host_us())
            self._catalogue = version

    def _said_of_coverage(self) -> tuple[int, list[Blind]] | None:
        """What people made of coverage once that has changed, with its version; asked once a second."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due["coverage"]:
            return None
        self._due["coverage"] = now_s + REGISTRY_S
        with self._db.read() as connection:
            version = meta.count(connection, meta.COVERAGE)
            if version == self._books.heard:
                return None
            log.info("coverage_changed_by_people")
            return version, [blind for _, blind in coverage.entries(connection)]

    def _register(self, fresh: Books, now_us: int) -> Outcome:
        """Take a changed registry; what new devices said lately counts from now on."""
        known = self._books.fleet
        self._books = self._books._replace(
            version=fresh.version,
            read_us=fresh.read_us,
            fleet=fresh.fleet,
            maintenance=fresh.maintenance,
        )
        self._intake.registry = fresh.fleet
        outcome = self._engine.set_registry(fresh.fleet, fresh.maintenance, now_us)
        later = self._count_lately(
            lambda ids: (fresh.fleet.positions(ids) >= 0) & (known.positions(ids) < 0), now_us
        )
        give_back_memory()
        return Outcome(
            outcome.runs + later.runs,
            outcome.rebuilt + later.rebuilt,
            outcome.transitions + later.transitions,
        )

    def _watch_clock(self) -> None:
        metrics.CLOCK_DRIFT.set(self._clock.drift_us() / SECOND_US)
        skipped = self._clock.follow()
        if skipped is None:
            return
        metrics.CLOCK_STEPS.inc()
        before_us, after_us = skipped
        log.error(
            "clock_stepped",
            seconds=round((after_us - before_us) / SECOND_US, 1),
            consequence="the skipped time counts as blind",
        )
        blind = Blind(before_us, after_us, after_us, cause="clock_step")
        self._waiting.appendleft(Told(self._applied, after_us, self._listening, [Record(blind)]))

    def _observe(self, step: Step) -> None:
        """Count and publish what a step wrote."""
        metrics.UNREGISTERED.inc(self._strangers.counted())
        self._teller.changes(step.transitions)

    def _publish_all(self) -> None:
        for device, status in self._engine.statuses():
            self._publisher.status(device, status)

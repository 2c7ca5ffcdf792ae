"""What the ledger's thread tells beside its rows: both indicators to the broker, and how the spool stands."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from collector import metrics
from collector.flow import Flow
from collector.intake import Intake
from collector.publisher import REPEAT_S, Publisher
from collector.records import AllFigures, summed
from collector.sharing import SharingValues
from collector.spool import Spool, last_order
from pulse import logs
from pulse.clock import SECOND_US, Clock
from pulse.errors import StoreUnavailable
from pulse.ledger.outcome import Transition
from pulse.stores.relational import recordmark, spoolstatus
from pulse.stores.relational.database import Database
from pulse.stores.relational.recordmark import RecordMark
from pulse.stores.relational.spoolstatus import SpoolStatus

log = logs.get(__name__)

FIGURES_S = 0.5
SHARING_S = 1.0
STANDING_S = 1.0


class Standing(NamedTuple):
    """How the spool is, and how far records are stored if that is news."""

    spool: SpoolStatus
    records: RecordMark | None

    def write(self, connection: Connection) -> None:
        """Tell the database."""
        spoolstatus.write(connection, self.spool)
        if self.records is not None:
            recordmark.write(connection, self.records)


class Teller:
    """Knows what was told last, and when the next time is. The methods belong to one thread."""

    def __init__(
        self, db: Database, spool: Spool, intake: Intake, publisher: Publisher, clock: Clock
    ) -> None:
        self._db = db
        self._spool = spool
        self._intake = intake
        self._publisher = publisher
        self._clock = clock
        self._flow = Flow()
        self._sharing = SharingValues()
        self._figures: AllFigures | None = None
        self._mark: RecordMark | None = None
        self._received_us: int | None = None
        self._due = dict.fromkeys(("figures", "sharing", "standing", "repeat"), 0.0)

    def begin(self, connection: Connection) -> None:
        """Take up what the database has."""
        self._mark = recordmark.read(connection)

    def received(self, before_us: int) -> None:
        """Everything that was received before is in the spool."""
        self._received_us = before_us

    # -- in a step's transaction -----------------------------------------------------------------------

    def changed_figures(self, counts: Callable[[], AllFigures], now_s: float) -> AllFigures | None:
        """The figures if they are others than were told last; compared every half second at most.

        Not by transitions: what is in maintenance falls silent without one, and the raw rate changes.
        """
        if now_s < self._due["figures"]:
            return None
        figures = counts()
        if figures == self._figures:
            self._due["figures"] = now_s + FIGURES_S
            return None
        return figures

    def standing(self, now_s: float) -> Standing | None:
        """What is to be written of spool and records, None if it is not yet time."""
        if now_s < self._due["standing"]:
            return None
        return Standing(self._spool_status(now_s), self._records_stored())

    def written(
        self, figures: AllFigures | None, at_us: int, standing: Standing | None, now_s: float
    ) -> None:
        """The transaction with these is committed."""
        if standing is not None:
            self._mark = standing.records or self._mark
            self._due["standing"] = now_s + STANDING_S
        if figures is not None:
            self._figures = figures
            self._due["figures"] = now_s + FIGURES_S
            self._indicator(figures, at_us)

    def changes(self, transitions: Iterable[Transition]) -> None:
        """Changes of devices that were written."""
        noticed_us = self._clock.now_us()
        for change in transitions:
            if change.cause == "deadline_passed":
                metrics.DETECTION_LAG.observe(max(0, noticed_us - change.at) / SECOND_US)
            self._publisher.transition(change)

    # -- beside the steps --------------------------------------------------------------------------------

    def look(self, counts: Callable[[], AllFigures], at_us: int, now_s: float) -> None:
        """Repeat what is retained now and then, and hand on what the scheduler published of data sharing."""
        if now_s >= self._due["repeat"]:
            self._due["repeat"] = now_s + REPEAT_S
            self._indicator(counts(), at_us)
            if self._sharing.last is not None:
                self._publisher.sharing(self._sharing.last)
        if now_s >= self._due["sharing"]:
            self._due["sharing"] = now_s + SHARING_S
            self._publish_sharing()

    def _indicator(self, figures: AllFigures, at_us: int) -> None:
        whole, by_community = summed(figures)
        self._publisher.indicator(whole, by_community, at_us)

    def _publish_sharing(self) -> None:
        try:
            with self._db.read() as connection:
                value = self._sharing.newer(connection)
        except StoreUnavailable as error:
            log.warning("sharing_unreadable", error=str(error))
            return
        if value is not None:
            self._publisher.sharing(value)

    def _records_stored(self) -> RecordMark | None:
        """How far the telemetry store has come with records; None if that says nothing new.

        What waits for the store was received at its earliest reception or later, and what is in no batch yet
        not before what the intake told last. What was said is never taken back.
        """
        if self._received_us is None:
            return None
        seq, waiting_us = self._spool.stored()
        before_us = self._received_us if waiting_us is None else min(self._received_us, waiting_us)
        said = self._mark or RecordMark(-1, before_us)
        mark = RecordMark(max(said.order, last_order(seq)), max(said.observed_us, before_us))
        return mark if mark != self._mark else None

    def _spool_status(self, now_s: float) -> SpoolStatus:
        depth = self._spool.depth()
        rates = self._flow.counted(now_s, self._spool.taken, depth.messages)
        since_us, why = self._intake.stalled or (None, None)
        return SpoolStatus(
            self._clock.now_us(),
            *depth,
            self._spool.used_bytes(),
            self._spool.max_bytes,
            None if rates is None else rates.in_per_s,
            None if rates is None else rates.out_per_s,
            why,
            since_us,
        )

"""The online rate of a period worked out again from the raw messages, beside what the intervals say."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pulse.clock import DAY_US, Clock, to_iso
from pulse.errors import BadInput
from pulse.indicators.books import Library
from pulse.indicators.online_rate import check_period
from pulse.indicators.within import Within, covers
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.model import Device, Evidence, Run
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Query, device_figures
from pulse.ledger.runs import runs_known
from pulse.messages import Message
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import deletions
from pulse.stores.relational.database import Database

_MOST = 10_000
"""Records of deletions that are looked through; there is one a day."""

RAW = "raw_messages"
"""What retention calls raw messages in its records."""


class Asked(NamedTuple):
    """`[from_us, to_us)` as known at `known_us` (None: now), of some devices (None: of all)."""

    from_us: int
    to_us: int
    known_us: int | None = None
    within: Within = None
    device: str | None = None


class Kept(NamedTuple):
    """Since when raw messages are there; `deleted_us` is when older ones went, None if nobody noted it."""

    from_us: int
    deleted_us: int | None


class Comparison(NamedTuple):
    """What came out; amounts are device-microseconds over `[proved_from_us, to_us)`.

    Before `proved_from_us` some message that would count is no longer kept, so the intervals alone speak of
    it. `differing` are the devices of which the messages say something else than the intervals do.
    """

    asked: Asked
    known_us: int
    proved_from_us: int
    kept: Kept | None
    messages: int
    from_messages: Figures
    from_intervals: Figures
    differing: list[tuple[Device, Figures, Figures]]
    goodbyes: int
    """Devices whose last goodbye lies before the messages that were read; it was taken from the intervals."""


class Recomputing:
    """Works it out again; safe to use from many threads.

    `retention_days` is for stores that delete by themselves, and keep no record of it.
    """

    def __init__(
        self,
        db: Database,
        library: Library,
        store: TelemetryStore,
        clock: Clock,
        *,
        backlog_lateness_us: int,
        retention_days: int | None = None,
    ) -> None:
        self._db = db
        self._library = library
        self._store = store
        self._clock = clock
        self._backlog_lateness_us = backlog_lateness_us
        self._retention_days = retention_days

    def compare(self, asked: Asked, passed: Callable[[int, int], None] | None = None) -> Comparison:
        """Compare messages and intervals; `passed` is told how many of how many devices are done.

        Raises `BadInput` for a period that is none, lies in the future or reaches beyond what a collector
        wrote last (there messages promise what nobody was there to see), `StoreUnavailable`.
        """
        check_period(asked.from_us, asked.to_us)
        _, as_of = self._library.moment(asked.to_us)
        written_us = as_of.blind_since_us if as_of.stale else None
        if written_us is not None and asked.to_us > written_us:
            since = to_iso(written_us)
            raise BadInput(
                f"采集器自 {since} 起没有写入，其后无可复算 / no collector has written since {since}; "
                "nothing behind it can be recomputed",
                where="to",
            )
        known_us = self._library.knowledge(asked.to_us, asked.known_us, as_of)
        opened = self._library.open(asked.from_us, asked.to_us, known_us)
        chosen = [d for d in opened.books.devices if _is_asked(asked, d)]
        kept = self._kept()
        longest_us = max((_longest(device) for device in chosen), default=0)
        proved_us = asked.from_us if kept is None else max(asked.from_us, kept.from_us + longest_us)
        found = Comparison(asked, known_us, min(proved_us, asked.to_us), kept, 0, Figures(), Figures(), [], 0)
        if proved_us >= asked.to_us:
            return found
        query = Query(proved_us, asked.to_us, known_us)
        messages = goodbyes = 0
        for place, device in enumerate(chosen):
            own = opened.runs.get(device.id, ())
            said = device_figures(device, own, opened.known, query)
            read = self._read(device, query)
            before = _goodbye(own, query.start - _longest(device))
            proved = device_figures(device, self._runs(device, read, before, known_us), opened.known, query)
            messages += len(read)
            goodbyes += before is not None
            found.from_messages.add(proved)
            found.from_intervals.add(said)
            if proved != said:
                found.differing.append((device, proved, said))
            if passed is not None:
                passed(place + 1, len(chosen))
        return found._replace(messages=messages, goodbyes=goodbyes)

    def _read(self, device: Device, query: Query) -> list[Message]:
        """The messages that say something of the period: of a whole timeout before it, too."""
        assert query.end is not None  # noqa: S101 - it is a period
        read = self._store.read_measured(device.id, query.start - _longest(device), query.end)
        return [message for message in read if message.observed_us <= query.known_at]

    def _runs(
        self, device: Device, messages: Iterable[Message], before: Piece | None, known_us: int
    ) -> list[Run]:
        evidence = [] if before is None else [before]
        for m in messages:
            heard = Heard(m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order)
            evidence.extend(pieces(device, heard, self._backlog_lateness_us))
        return runs_known(device, evidence, known_us)

    def _kept(self) -> Kept | None:
        """Since when raw messages are there; None while all that ever came are."""
        with self._db.read() as connection:
            noted = next((d for d in deletions.recent(connection, _MOST) if d.what == RAW), None)
        found = None if noted is None else Kept(noted.before_us, noted.at_us)
        if self._retention_days is None:
            return found
        limit_us = self._clock.now_us() - self._retention_days * DAY_US
        return found if found is not None and found.from_us >= limit_us else Kept(limit_us, None)


def _is_asked(asked: Asked, device: Device) -> bool:
    return covers(asked.within, device.community) and asked.device in {None, device.id}


def _longest(device: Device) -> int:
    return max(terms.timeout for terms in device.terms)


def _goodbye(runs: Iterable[Run], read_from: int) -> Piece | None:
    """The explicit offline that held before the first message that is read, if there was one."""
    for run in runs:
        if run.start < read_from < run.end and run.evidence is Evidence.OFFLINE:
            return Piece(run.since, min(run.recorded, run.since), -1, Evidence.OFFLINE)
        if run.start >= read_from:
            break
    return None

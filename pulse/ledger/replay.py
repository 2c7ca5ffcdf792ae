"""Recompute answers from messages, coverage, registry and maintenance: the other side of rule 12."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple, Protocol

from pulse.ledger.answer import Listening
from pulse.ledger.columns import HeardColumns, evidence_of, in_time_order
from pulse.ledger.columns import runs_known as runs_of_columns
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.model import (
    EVER,
    FOREVER,
    Blind,
    Device,
    Maintenance,
    Run,
    Scope,
    Terms,
    known_blinds,
    known_maintenance,
)
from pulse.ledger.rates import Figures, at_instant, instant_figures, period_figures
from pulse.ledger.runs import runs_known
from pulse.ledger.terms import TermsColumns


class Query(NamedTuple):
    """An instant (`end` None) or a half-open period, and the knowledge time."""

    start: int
    end: int | None
    known_at: int


class Books(NamedTuple):
    """Everything beside messages that answers come from. `start` is the collector's first instant.

    `ever` and `forever` are earlier and later than every time in use.
    """

    devices: Sequence[Device]
    start: int
    blinds: Sequence[Blind] = ()
    maintenance: Sequence[Maintenance] = ()
    backlog_lateness: int = 0
    ever: int = EVER
    forever: int = FOREVER

    def coverage_known(self, known_at: int) -> list[Blind]:
        """The known blind intervals; the time before the first start is one of them (rule 6)."""
        return [Blind(self.ever, self.start, self.ever, self.forever), *known_blinds(self.blinds, known_at)]


class RunSource(Protocol):
    """Where runs come from: messages in a replay, rows of the database in operation."""

    def runs(self, known_at: int) -> Mapping[int, Sequence[Run]]:
        """The runs of every device that has any, by position in `Books.devices`, as known."""
        ...


class ColumnMessages:
    """Messages in columns: fast, for times that fit 62 bits."""

    def __init__(self, books: Books, heard: HeardColumns) -> None:
        agreed = TermsColumns.of_devices(books.devices)
        judging = agreed.judging(heard.device, heard.measured)
        evidence = evidence_of(heard, judging.max_lateness, judging.untrusted, books.backlog_lateness)
        self._ordered = in_time_order(evidence)
        self._timeout = agreed.timeout(self._ordered.device, self._ordered.at)
        self._forever = books.forever

    def runs(self, known_at: int) -> Mapping[int, Sequence[Run]]:
        return runs_of_columns(self._ordered, self._timeout, known_at, forever=self._forever)


class ExactMessages:
    """Messages one by one through the readable rules: for integers of any size."""

    def __init__(self, books: Books, heard: Iterable[tuple[int, Heard]]) -> None:
        self._books = books
        self._evidence: dict[int, list[Piece]] = {}
        for position, one in heard:
            proved = pieces(books.devices[position], one, books.backlog_lateness)
            self._evidence.setdefault(position, []).extend(proved)

    def runs(self, known_at: int) -> Mapping[int, Sequence[Run]]:
        devices, forever = self._books.devices, self._books.forever
        return {
            position: runs_known(devices[position], evidence, known_at, forever=forever)
            for position, evidence in self._evidence.items()
        }


class Known:
    """The books as known at one time, ready to be asked about any device.

    Devices that share coverage and terms share one `Listening`.
    """

    def __init__(self, books: Books, known_at: int) -> None:
        self.known_at = known_at
        self._blinds = books.coverage_known(known_at)
        self._maintenance: dict[Scope, list[Maintenance]] = {}
        for window in known_maintenance(books.maintenance, known_at):
            self._maintenance.setdefault(window.scope, []).append(window)
        self._shared: dict[tuple[tuple[int, ...], tuple[Terms, ...]], Listening] = {}
        self._scoped = [i for i, b in enumerate(self._blinds) if any(b.scope)]
        self._general = tuple(i for i, b in enumerate(self._blinds) if not any(b.scope))

    def listening(self, device: Device) -> Listening:
        """What the collector could hear of this device."""
        own = tuple(i for i in self._scoped if self._blinds[i].scope.covers(device))
        key = (own, device.terms)
        found = self._shared.get(key)
        if found is None:
            chosen = (self._blinds[i] for i in (*self._general, *own))
            found = self._shared[key] = Listening(chosen, device.terms)
        return found

    def maintenance(self, device: Device) -> list[Maintenance]:
        """The windows that cover this device."""
        found: list[Maintenance] = []
        for members in product((None, device.id), (None, device.kind), (None, device.community)):
            found += self._maintenance.get(Scope(*members), ())
        return found


def device_figures(device: Device, runs: Sequence[Run], known: Known, query: Query) -> Figures:
    """One device's figures for one query."""
    listening, windows = known.listening(device), known.maintenance(device)
    if query.end is None:
        states = at_instant(device, runs, listening, windows, query.start, query.known_at)
        return instant_figures(*states)
    return period_figures(device, runs, listening, windows, query.start, query.end, query.known_at)


def answer(books: Books, source: RunSource, queries: Sequence[Query]) -> list[Figures]:
    """The figures of every query over all devices, in the order asked."""
    answers: list[Figures] = [Figures() for _ in queries]
    by_knowledge: dict[int, list[int]] = {}
    for position, query in enumerate(queries):
        by_knowledge.setdefault(query.known_at, []).append(position)
    for known_at, positions in by_knowledge.items():
        runs, known = source.runs(known_at), Known(books, known_at)
        for place, device in enumerate(books.devices):
            own = runs.get(place, ())
            for position in positions:
                answers[position].add(device_figures(device, own, known, queries[position]))
    return answers

"""The data-sharing ratio as it is published: figures with the digests of what they were worked out from."""

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pulse.chain import Head, shown
from pulse.indicators import sharing_judging
from pulse.indicators.books import Library
from pulse.indicators.data_sharing import Kinds
from pulse.indicators.indicator import Drafted, Verdict
from pulse.indicators.sharing_books import Asked, Found, worked_out
from pulse.indicators.sharing_inputs import FORM, sections
from pulse.indicators.sharing_present import NAME, compact, of_compact, states, told
from pulse.stores.base import IndicatorPoint
from pulse.stores.relational import coverage, meta, receipts
from pulse.stores.relational import registry as registered
from pulse.stores.relational.database import Database
from pulse.stores.relational.events import NewEvent
from pulse.stores.relational.published import PublishedValue, Stored

TOPIC = "sharing"
"""The topic of its events."""

_MOST_CHANGES = 1000
_VERSIONS = ("catalogue_version", "registry_version", "coverage_version")


class Draft(NamedTuple):
    """A value of one moment, and all that it came from."""

    value: PublishedValue
    found: Found


class SharingPublication:
    """The data-sharing ratio as an `Indicator`; safe to use from many threads."""

    name = NAME

    def __init__(self, db: Database, library: Library) -> None:
        self._db = db
        self._library = library
        self._kinds = Kinds()
        self._lock = threading.Lock()
        self._last: Draft | None = None
        """What was worked out last for publication."""

    def since(self, connection: Connection) -> int | None:
        """From when on there is a catalogue and a collector."""
        start_us, catalogue_us = coverage.start_us(connection), self._kinds.read(connection)[1].since_us
        return None if start_us is None or catalogue_us is None else max(start_us, catalogue_us)

    def drafted(self, at_us: int) -> Drafted:
        """The value of a moment, as known now."""
        made = self.draft(at_us)
        with self._lock:
            self._last = made
        return Drafted(made.value, made.found.answer.next_us)

    def changes(
        self, connection: Connection, last: PublishedValue | None, behind_us: int, through_us: int
    ) -> list[int]:
        """When receipts were recorded, and now if catalogue, registry or coverage have been changed."""
        with self._lock:
            drafted = self._last
        inputs = drafted.value.inputs if drafted is not None else {} if last is None else last.inputs
        number = inputs.get("receipts_known")
        moments = [
            max(recorded_us, behind_us + 1)
            for recorded_us in receipts.since(connection, behind_us, through_us, number, _MOST_CHANGES)
        ]
        if through_us > behind_us and self._versions(connection) != {n: inputs.get(n) for n in _VERSIONS}:
            moments.append(through_us)
        return sorted(moments)

    def next_change(self, behind_us: int) -> int | None:
        """When a receipt or statement stops to count, a device enters or leaves service, a version holds."""
        with self._lock:
            return behind_us + 1 if self._last is None else self._last.found.answer.next_us

    def news(self, value: PublishedValue) -> list[NewEvent]:
        """What the live streams are told."""
        body = told(value)
        return [NewEvent(value.at_us, value.known_us, TOPIC, body, f"{NAME}/{value.at_us}")]

    def points(self, value: PublishedValue) -> list[IndicatorPoint]:
        """A point of all communities and one of each; `states` are kinds by state."""
        groups = {"": value.figures["all"], **value.figures["by_community"]}
        return [_point(value.at_us, community, part) for community, part in groups.items()]

    def judge(self, row: Stored, inputs: Mapping[str, Any]) -> Verdict:
        """Work a value out again by the receipts that there were, with the default timeout of then."""
        return sharing_judging.judged(self._db, self._library, self, row, inputs)

    def draft(
        self,
        at_us: int,
        known_us: int | None = None,
        head: int | None = None,
        default_timeout_us: int | None = None,
        looked_us: int | None = None,
    ) -> Draft:
        """The value of `at_us` as known at `known_us`: by default what is completely known now.

        With `head`, by the receipts numbered up to it. States of devices are as known at `looked_us`, by
        default likewise at `known_us`.
        """
        with self._db.read() as connection:
            mark = coverage.watermark(connection)
            if known_us is None:
                known_us = at_us if mark is None else max(at_us, mark.through_us)
            catalogue_version, versions = self._kinds.read(connection)
            looked_us = known_us if looked_us is None else looked_us
            books = self._library.consult_recorded(connection, looked_us, default_timeout_us)
            # The end is read first: of what comes in meanwhile nothing is said to have been seen.
            end = receipts.head(connection) if head is None else Head(head, "")
            found = worked_out(connection, books, versions, Asked(at_us, known_us, head=end.number))
            inputs = {
                "form": FORM,
                **sections(found),
                "receipts_head": shown(end),
                "receipts_known": receipts.known_number(connection, end.number, known_us),
                "through_us": None if mark is None else mark.through_us,
                "listening": mark is not None and mark.listening,
                "waiting": books.waiting,
                "default_timeout_us": books.default_timeout_us,
                **self._versions(connection),
                "catalogue_version": catalogue_version,
            }
        figures = compact(found.answer)
        whole = found.answer.whole
        return Draft(
            PublishedValue(NAME, at_us, known_us, whole.shared, whole.collectable, figures, inputs=inputs),
            found,
        )

    def _versions(self, connection: Connection) -> dict[str, int]:
        counts = (
            meta.count(connection, meta.CATALOGUE),
            registered.version(connection),
            meta.count(connection, meta.COVERAGE),
        )
        return dict(zip(_VERSIONS, counts, strict=True))


def _point(at_us: int, community: str, part: Mapping[str, Any]) -> IndicatorPoint:
    said = of_compact(part)
    lower, upper = said["bounds"] or (None, None)
    return IndicatorPoint(
        NAME, community, at_us, said["shared"], said["collectable"], lower, upper, states(part)
    )

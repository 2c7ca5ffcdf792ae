"""The online rate as it is published: its figures with the digests of what they were worked out from."""

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pulse.indicators.books import Library, Recorded
from pulse.indicators.indicator import UNKNOWN_FORM, Drafted, Outcome, Verdict
from pulse.indicators.inputs import FORM, WINDOW_US, Registered, sections
from pulse.indicators.judging import judged
from pulse.indicators.online_rate import NAME, Whole, counted
from pulse.indicators.present import compact, ratio
from pulse.ledger.replay import Books, Query
from pulse.stores.base import IndicatorPoint
from pulse.stores.relational import coverage, events
from pulse.stores.relational.events import NewEvent
from pulse.stores.relational.published import PublishedValue, Stored

_MOST_CHANGES = 1000


class Draft(NamedTuple):
    """A value of one moment, and the books that it came from."""

    value: PublishedValue
    books: Books


class Publication:
    """The online rate as an `Indicator`; safe to use from many threads."""

    name = NAME

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._registered = Registered(())

    def since(self, connection: Connection) -> int | None:
        """The collector's first start."""
        return coverage.start_us(connection)

    def changes(
        self, connection: Connection, last: PublishedValue | None, behind_us: int, through_us: int
    ) -> list[int]:
        """When the collector said that figures had become others."""
        return events.times(connection, "indicator", behind_us, _MOST_CHANGES)

    def next_change(self, behind_us: int) -> int | None:
        """Never: the collector says when a deadline has passed."""
        return None

    def news(self, value: PublishedValue) -> list[NewEvent]:
        """Nothing: the collector has told it."""
        return []

    def points(self, value: PublishedValue) -> list[IndicatorPoint]:
        """A point of all communities and one of each."""
        groups = {"": value.figures["all"], **value.figures["by_community"]}
        return [_point(value.at_us, community, figures) for community, figures in groups.items()]

    def judge(self, row: Stored, inputs: Mapping[str, Any]) -> Verdict:
        """Work a value out again, with the default timeout of then."""
        if inputs.get("form") != FORM or not isinstance(inputs.get("default_timeout_us"), int):
            return Verdict(Outcome.DIFFERS, [UNKNOWN_FORM])
        again = self.draft(row.at_us, row.known_us, inputs["default_timeout_us"])
        value = again.value
        outcome, reasons = judged(row, inputs, value, again.books, self._library.default_timeout_us)
        return Verdict(outcome, reasons, (value.numerator, value.denominator))

    def drafted(self, at_us: int) -> Drafted:
        """The value of a moment, as known now."""
        return Drafted(self.draft(at_us).value)

    def draft(self, at_us: int, known_us: int | None = None, default_timeout_us: int | None = None) -> Draft:
        """The value of `at_us` as known at `known_us`: by default what is completely known now.

        `default_timeout_us` is the default timeout to assume, now's by default.
        """
        found = self._library.recorded(at_us - WINDOW_US, at_us, known_us, default_timeout_us)
        opened = found.opened
        known_us = opened.known.known_at
        figures = kept(counted(opened, Query(at_us, None, known_us)))
        with self._lock:
            if self._registered.devices is not opened.books.devices:
                self._registered = Registered(opened.books.devices)
            serving = self._registered.in_service(at_us, known_us)
        inputs = {
            "form": FORM,
            **_circumstances(found),
            **sections(serving, opened.runs, opened.books, at_us, known_us),
        }
        running, total = figures["all"]["raw"]
        value = PublishedValue(NAME, at_us, known_us, running, total, figures, inputs=inputs)
        return Draft(value, opened.books)


def kept(whole: Whole) -> dict[str, Any]:
    """Figures in the compact form that published values keep."""
    return {
        "all": compact(whole.all),
        "by_community": {name: compact(f) for name, f in sorted(whole.by_community.items())},
        "by_kind": {name: compact(f) for name, f in sorted(whole.by_kind.items())},
    }


def _point(at_us: int, community: str, figures: Mapping[str, Any]) -> IndicatorPoint:
    running, total = figures["raw"]
    upper = running + figures["unknown_raw"]
    return IndicatorPoint(
        NAME, community, at_us, running, total, ratio(running, total), ratio(upper, total), figures["states"]
    )


def _circumstances(found: Recorded) -> dict[str, Any]:
    """What cannot be worked out again later, and explains a difference if there is one."""
    mark = found.mark
    return {
        "through_us": None if mark is None else mark.through_us,
        "listening": mark is not None and mark.listening,
        "waiting": found.waiting,
        "registry_version": found.version,
        "default_timeout_us": found.default_timeout_us,
    }

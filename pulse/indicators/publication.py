"""The online rate as it is published: its figures with the digests of what they were worked out from."""

import threading
from typing import Any, NamedTuple

from pulse.indicators.books import Library, Recorded
from pulse.indicators.inputs import FORM, WINDOW_US, Registered, sections
from pulse.indicators.online_rate import NAME, Whole, counted
from pulse.indicators.present import compact
from pulse.ledger.replay import Books, Query
from pulse.stores.relational.published import PublishedValue


class Draft(NamedTuple):
    """A value of one moment, and the books that it came from."""

    value: PublishedValue
    books: Books


class Publication:
    """Works out what is to be published; safe to use from many threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._registered = Registered(())

    @property
    def default_timeout_us(self) -> int:
        """The timeout, now, of devices of which nothing else was agreed."""
        return self._library.default_timeout_us

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

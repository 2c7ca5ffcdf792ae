"""数据贡献比例: kinds of data shared over kinds that can be collected, now or at any past moment."""

import threading
from typing import Any

from sqlalchemy import Connection

from pulse.clock import Clock, to_iso
from pulse.indicators.books import Library
from pulse.indicators.sharing_books import Asked, worked_out
from pulse.indicators.sharing_present import whole
from pulse.indicators.within import Kept, Within
from pulse.sharing.catalogue import Catalogue
from pulse.stores.relational import catalogue
from pulse.stores.relational.database import Database


class Kinds:
    """Reads the catalogue; what was read is kept until its version grows. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[int, Catalogue] | None = None

    def read(self, connection: Connection) -> tuple[int, Catalogue]:
        """The version of the catalogue, and every version of every kind."""
        version = catalogue.version(connection)
        with self._lock:
            kept = self._kept
        if kept is not None and kept[0] == version:
            return kept
        found = version, catalogue.load(connection)
        with self._lock:
            self._kept = found
        return found


class DataSharing:
    """Answers about the data-sharing ratio from what the database knows; safe to use from many threads."""

    def __init__(self, db: Database, library: Library, clock: Clock) -> None:
        self._db = db
        self._library = library
        self._clock = clock
        self.kinds = Kinds()
        self._lock = threading.Lock()
        self._now: Kept[tuple[int, dict[str, Any]]] = Kept()

    @property
    def library(self) -> Library:
        """The books that its answers start from."""
        return self._library

    def instant(
        self, at_us: int | None = None, known_us: int | None = None, within: Within = None
    ) -> dict[str, Any]:
        """The ratio at one moment, "now" by default, as known at `known_us`, now by default.

        Devices and receipts are those of the communities `within`. Raises `BadInput` for a moment in the
        future or past its own knowledge time.
        """
        at, as_of = self._library.moment(at_us)
        known = self._library.knowledge(at, known_us, as_of)
        is_now = at_us is None and known_us is None and not as_of.stale
        if is_now:
            with self._lock:
                kept = self._now.get(within)
            if kept is not None and kept[0] == at:
                return kept[1]
        with self._db.read() as connection:
            _, versions = self.kinds.read(connection)
            books = self._library.consult(connection, known)
            found = worked_out(connection, books, versions, Asked(at, known, within))
        answer = {
            **whole(found.answer),
            "at": to_iso(at),
            "known_at": to_iso(known),
            "calculated_at": to_iso(self._clock.now_us()),
        }
        if is_now:
            with self._lock:
                self._now.put(within, (at, answer))
        return answer

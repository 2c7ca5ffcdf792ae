"""A reader of records as whoever delivers them is one: on from where it was, up to the mark, never again."""

from pulse.messages import Record
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import recordmark
from pulse.stores.relational.database import Database


class Outlet:
    """`read` is all that it was given, in that order."""

    def __init__(self, db: Database, store: TelemetryStore) -> None:
        self.read: list[Record] = []
        self._db = db
        self._store = store
        self._after = 0
        self._before_us = 0

    def look(self) -> None:
        """Read on."""
        with self._db.read() as connection:
            mark = recordmark.read(connection)
        if mark is None:
            return
        assert mark.order >= self._after
        assert mark.observed_us >= self._before_us
        while some := self._store.read_records(self._after, mark.order, since_us=self._before_us, limit=7):
            # Of what was received before the last mark's time nothing may come any more.
            assert all(record.observed_us >= self._before_us for record in some)
            self.read += some
            self._after = some[-1].order
        self._after, self._before_us = mark.order, mark.observed_us

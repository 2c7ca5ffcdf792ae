"""The telemetry contract on one SQLite file."""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from pulse.batches import Ints, MessageColumns
from pulse.messages import Message, Record
from pulse.stores.acceptable import TIME_MIN_US, Checker, are_acceptable
from pulse.stores.base import Collected, IndicatorPoint, TransitionPoint, Written
from pulse.stores.sqlite import queries
from pulse.stores.sqlite import records as record_rows
from pulse.stores.sqlite.connections import Connections
from pulse.stores.sqlite.numbers import Numbers
from pulse.stores.sqlite.rows import VALUES, to_message, to_row, to_rows
from pulse.stores.sqlite.schema import hour_of

_DELETE_CHUNK = 2000
_GIVE_WAY_S = 0.002

_INSERT = f"INSERT INTO message ({VALUES}) VALUES ({', '.join('?' * 13)}) ON CONFLICT DO NOTHING"
_INSERT_UNLESS = f"INSERT INTO message ({VALUES}) SELECT {', '.join('?' * 13)} WHERE NOT EXISTS "

_Hours = tuple[Ints, Ints]
"""Numbers of devices, and an hour that each was heard in."""
_NOTHING: _Hours = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


class SqliteTelemetryStore:
    """Raw messages, records, transitions and indicator values in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._connections = Connections(path)
        self._checker = Checker()
        self._forget()

    def open(self) -> None:
        """Make the file and its tables when they are missing."""
        self._connections.open()

    def write_messages(self, messages: Sequence[Message]) -> Written:
        """Store messages in one transaction that is on disk when this returns."""
        if isinstance(messages, MessageColumns) and are_acceptable(messages):
            new = self._committing(lambda connection: self._write_columns(connection, messages))
            return Written(len(messages), known=len(messages) - new)
        refused = []
        accepted = []
        for position, message in enumerate(messages):
            reason = self._checker.why_not(message)
            if reason is None:
                accepted.append(message)
            else:
                refused.append((position, reason))
        new = self._committing(lambda connection: self._write(connection, accepted)) if accepted else 0
        return Written(len(accepted), tuple(refused), len(accepted) - new)

    def _committing(self, write: Callable[[sqlite3.Connection], tuple[_Hours, int]]) -> int:
        """Write in one transaction; `write` gives the hours when devices were heard, and how many are new."""
        try:
            with self._connections.writing() as connection:
                heard, new = write(connection)
                hours = self._devices.later_hours(*heard)
                queries.put_last_hours(connection, hours)
        except BaseException:
            # What was numbered in an undone transaction is not in the file.
            self._forget()
            raise
        self._devices.note_hours(hours)
        return new

    def _numbers_of(self, connection: sqlite3.Connection, names: Sequence[str]) -> Ints:
        return self._devices.of(names, lambda unknown: queries.device_numbers(connection, unknown))

    def _origin(self, connection: sqlite3.Connection, place: tuple[str, str]) -> int:
        origin = self._origins.get(place)
        if origin is None:
            origin = self._origins[place] = queries.origin_number(connection, place)
        return origin

    def _write_columns(self, connection: sqlite3.Connection, messages: MessageColumns) -> tuple[_Hours, int]:
        """Live messages with a time of their own column by column, the few others one by one."""
        plain = messages.dated() & ~messages.retained
        others, new = _NOTHING, 0
        if not plain.all():
            others, new = self._write(connection, list(messages.take(~plain)))
            messages = messages.take(plain)
        device = self._numbers_of(connection, [o.device for o in messages.origins])
        origin = [self._origin(connection, (o.community, o.kind)) for o in messages.origins]
        new += connection.executemany(_INSERT, to_rows(messages, device.tolist(), origin)).rowcount
        last = np.full(len(device), TIME_MIN_US, dtype=np.int64)
        np.maximum.at(last, messages.origin, messages.observed)
        hours = np.array([hour_of(us) for us in last.tolist()], dtype=np.int64)
        return (np.append(others[0], device), np.append(others[1], hours)), new

    def _write(self, connection: sqlite3.Connection, messages: Sequence[Message]) -> tuple[_Hours, int]:
        plain, undated, retained = [], [], []
        devices = self._numbers_of(connection, [message.device for message in messages])
        for message, device in zip(messages, devices.tolist(), strict=True):
            origin = self._origin(connection, (message.community, message.kind))
            row = to_row(message, device, origin)
            if message.measured_us is None:
                undated.append(row + queries.same_undated(message, device))
            elif message.retained:
                retained.append(row + queries.same_dated(message, device))
            else:
                plain.append(row)
        kinds = (
            (_INSERT, plain),
            (_INSERT_UNLESS + queries.SAME_UNDATED, undated),
            (_INSERT_UNLESS + queries.SAME_DATED, retained),
        )
        new = sum(connection.executemany(insert, rows).rowcount for insert, rows in kinds if rows)
        hours = np.array([hour_of(message.observed_us) for message in messages], dtype=np.int64)
        return (devices, hours), new

    def _forget(self) -> None:
        self._devices = Numbers()
        self._origins: dict[tuple[str, str], int] = {}

    def seen(self, messages: Sequence[Message]) -> list[bool]:
        """For each message, whether the same one is stored already."""
        with self._connections.reading() as connection:
            return [queries.is_stored(connection, message) for message in messages]

    def read_messages(
        self,
        from_us: int,
        to_us: int,
        *,
        device: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[Message]:
        """Messages received in `[from_us, to_us)`, page by page, so that a slow reader holds nothing up."""
        if device is None:
            rows = queries.rows_by_reception(self._connections, from_us, to_us, newest_first, limit)
        else:
            rows = queries.rows_of_device(self._connections, device, from_us, to_us, newest_first, limit)
        for row in rows:
            yield to_message(row)

    def read_measured(self, device: str, from_us: int, to_us: int) -> list[Message]:
        """Messages of one device whose reception or measured time lies in `[from_us, to_us)`, by `order`."""
        return [to_message(row) for row in queries.rows_measured(self._connections, device, from_us, to_us)]

    def write_records(self, records: Sequence[Record]) -> Written:
        """Store records in one transaction that is on disk when this returns."""
        reasons = [self._checker.why_no_record(record) for record in records]
        accepted = [record for record, reason in zip(records, reasons, strict=True) if reason is None]
        new = 0
        if accepted:
            new = self._committing(lambda connection: (_NOTHING, self._write_records(connection, accepted)))
        refused = [(position, reason) for position, reason in enumerate(reasons) if reason is not None]
        return Written(len(accepted), tuple(refused), len(accepted) - new)

    def _write_records(self, connection: sqlite3.Connection, accepted: Sequence[Record]) -> int:
        devices = self._numbers_of(connection, [record.device for record in accepted])
        origins = [self._origin(connection, (record.community, record.kind)) for record in accepted]
        return record_rows.write(connection, accepted, devices.tolist(), origins)

    def read_records(
        self,
        after: int,
        through: int,
        *,
        since_us: int,
        limit: int,
        data_kinds: Collection[str] | None = None,
        communities: Collection[str] | None = None,
    ) -> list[Record]:
        """The first `limit` records with `after < order <= through`; the index needs no `since_us`."""
        with self._connections.reading() as connection:
            return record_rows.read(connection, after, through, limit, data_kinds, communities)

    def collected(self, from_us: int, to_us: int) -> list[Collected]:
        """What was received in `[from_us, to_us)`, by data kind and community."""
        with self._connections.reading() as connection:
            return record_rows.collected(connection, from_us, to_us)

    def latest(self) -> dict[str, Message]:
        """The last received message of every device that has any, by device."""
        with self._connections.reading() as connection:
            return {row[0]: to_message(row) for row in connection.execute(queries.LATEST)}

    def write_transitions(self, points: Sequence[TransitionPoint]) -> None:
        """Store transitions; the first record of one stays."""
        with self._connections.writing() as connection:
            connection.executemany(
                "INSERT INTO transition"
                ' (device, community, kind, at_us, recorded_us, "before", "after", cause)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                points,
            )

    def write_indicators(self, points: Sequence[IndicatorPoint]) -> None:
        """Store indicator values; the same name, community and time again overwrites."""
        with self._connections.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO indicator"
                " (name, community, at_us, numerator, denominator, lower, upper, states)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(*point[:7], msgspec.json.encode(dict(point.states)).decode()) for point in points],
            )

    def delete_before(self, cutoff_us: int) -> int:
        """Delete raw messages received before the cutoff, a little at a time, and say how many."""
        return self._delete(queries.DELETE_CHUNK, cutoff_us)

    def delete_records_before(self, cutoff_us: int) -> int:
        """Delete records received before the cutoff, a little at a time, and say how many."""
        return self._delete(record_rows.DELETE_CHUNK, cutoff_us)

    def _delete(self, delete_chunk: str, cutoff_us: int) -> int:
        deleted = 0
        while True:
            with self._connections.writing() as connection:
                chunk = connection.execute(delete_chunk, (cutoff_us, _DELETE_CHUNK)).rowcount
            deleted += chunk
            if chunk < _DELETE_CHUNK:
                return deleted
            # A thread waiting for the writer gets it only while this one does not ask again at once.
            time.sleep(_GIVE_WAY_S)

    def oldest_us(self) -> int | None:
        """Reception time of the oldest raw message kept, or None if there is none."""
        with self._connections.reading() as connection:
            oldest: int | None = connection.execute("SELECT min(observed_us) FROM message").fetchone()[0]
            return oldest

    def oldest_record_us(self) -> int | None:
        """Reception time of the oldest record kept, or None if there is none."""
        with self._connections.reading() as connection:
            oldest: int | None = connection.execute("SELECT min(observed_us) FROM record").fetchone()[0]
            return oldest

    def ping(self) -> None:
        """Return if the file can be read, else raise."""
        with self._connections.reading() as connection:
            connection.execute("SELECT 1 FROM message LIMIT 1").fetchone()

    def close(self) -> None:
        """Close the file."""
        self._connections.close()

"""The SQL of the telemetry file."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pulse.clock import HOUR_US
from pulse.messages import Message
from pulse.stores.acceptable import TIME_MAX_US, TIME_MIN_US
from pulse.stores.sameness import window_us
from pulse.stores.sqlite.connections import Connections
from pulse.stores.sqlite.rows import COLUMNS, FROM
from pulse.stores.sqlite.schema import ASTRAY_US, HOUR, hour_of

Row = tuple[Any, ...]

_PAGE = 2000

NO_HOUR = hour_of(TIME_MIN_US) - 1
"""Before the hour of every message."""

SAME_DATED = "(SELECT 1 FROM message WHERE measured_us = ? AND device = ? AND identity = ? AND retained <= ?)"
SAME_UNDATED = (
    "(SELECT 1 FROM message WHERE measured_us IS NULL AND device = ? AND identity = ?"
    " AND observed_us BETWEEN ? AND ? AND retained <= ?)"
)

LATEST = (
    f"SELECT {COLUMNS} FROM device l JOIN message m ON m.id = ("
    f"SELECT n.id FROM message n WHERE n.{HOUR} = +l.last_hour AND n.device = l.id"
    " ORDER BY n.observed_us DESC, n.reception DESC, n.id DESC LIMIT 1)"
    " JOIN device d ON d.id = m.device JOIN origin o ON o.id = m.origin"
)
"""The `+` takes the column's affinity away, with which SQLite would not use the index over an expression."""

DELETE_CHUNK = (
    "DELETE FROM message WHERE id IN"
    " (SELECT id FROM message WHERE observed_us < ? ORDER BY observed_us, reception LIMIT ?)"
)


def same_dated(message: Message, device: int) -> Row:
    """Parameters of `SAME_DATED`: an equal measurement that stands in the message's way."""
    return (message.measured_us, device, message.identity, message.retained)


def same_undated(message: Message, device: int) -> Row:
    """Parameters of `SAME_UNDATED`."""
    window = window_us(message)
    return (
        device,
        message.identity,
        message.observed_us - window,
        message.observed_us + window,
        message.retained,
    )


def is_stored(connection: sqlite3.Connection, message: Message) -> bool:
    """Whether the same message is stored already."""
    found = connection.execute("SELECT id FROM device WHERE name = ?", (message.device,)).fetchone()
    if found is None:
        return False
    if message.measured_us is None:
        query, parameters = SAME_UNDATED, same_undated(message, found[0])
    else:
        query, parameters = SAME_DATED, same_dated(message, found[0])
    return bool(connection.execute(f"SELECT EXISTS {query}", parameters).fetchone()[0])


def device_numbers(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, int]:
    """The numbers of devices in the file, given on first sight."""
    connection.executemany(
        "INSERT INTO device (name, last_hour) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(name, NO_HOUR) for name in names],
    )
    asked = msgspec.json.encode(names).decode()
    found = "SELECT name, id FROM device WHERE name IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(found, (asked,)).fetchall())


def origin_number(connection: sqlite3.Connection, place: tuple[str, str]) -> int:
    """The number of a community and kind in the file, given on first sight."""
    connection.execute("INSERT INTO origin (community, kind) VALUES (?, ?) ON CONFLICT DO NOTHING", place)
    number: int = connection.execute(
        "SELECT id FROM origin WHERE community = ? AND kind = ?", place
    ).fetchone()[0]
    return number


def put_last_hours(connection: sqlite3.Connection, hours: Mapping[int, int]) -> None:
    """Note the last hour of devices, so that `LATEST` looks into one hour only."""
    connection.executemany(
        "UPDATE device SET last_hour = max(last_hour, ?) WHERE id = ?",
        [(hour, device) for device, hour in hours.items()],
    )


def rows_by_reception(
    connections: Connections, from_us: int, to_us: int, newest_first: bool, limit: int | None
) -> Iterator[Row]:
    """Rows of `COLUMNS` received in `[from_us, to_us)`, in order of reception."""
    yield from _pages(connections, "", (), _clamp(from_us), _clamp(to_us), newest_first, limit)


def rows_of_device(
    connections: Connections, device: str, from_us: int, to_us: int, newest_first: bool, limit: int | None
) -> Iterator[Row]:
    """The same for one device: hour by hour, as the index `by_device` has them."""
    number = _number(connections, device)
    if number is None:
        return
    from_us, to_us = _clamp(from_us), _clamp(to_us)
    hour = _next_hour(connections, from_us, to_us, newest_first)
    while hour is not None and (limit is None or limit > 0):
        count = 0
        where, parameters = f"m.{HOUR} = ? AND m.device = ? AND ", (hour, number)
        for row in _pages(connections, where, parameters, from_us, to_us, newest_first, limit):
            yield row
            count += 1
        if limit is not None:
            limit -= count
        if newest_first:
            to_us = min(to_us, _start_of(hour))
        else:
            from_us = max(from_us, _start_of(hour + 1))
        if count and from_us < to_us:
            hour += -1 if newest_first else 1
        else:
            hour = _next_hour(connections, from_us, to_us, newest_first)


def rows_measured(connections: Connections, device: str, from_us: int, to_us: int) -> list[Row]:
    """Rows of one device received or measured in `[from_us, to_us)`, in order of reception."""
    near = rows_of_device(connections, device, from_us - ASTRAY_US, to_us + ASTRAY_US, False, None)
    found = {
        row[-1]: row
        for row in near
        if from_us <= row[5] < to_us or (row[6] is not None and from_us <= row[6] < to_us)
    }
    with connections.reading() as connection:
        astray = connection.execute(
            f"SELECT {COLUMNS} FROM {FROM} WHERE m.device = ? AND m.measured_us >= ? AND m.measured_us < ?"
            " AND m.measured_us IS NOT NULL AND m.measured_us"
            f" NOT BETWEEN m.observed_us - {ASTRAY_US} AND m.observed_us + {ASTRAY_US}",
            (_number(connections, device), from_us, to_us),
        ).fetchall()
    found.update((row[-1], row) for row in astray)
    return sorted(found.values(), key=lambda row: (row[-2], row[5], row[-1]))


def _number(connections: Connections, device: str) -> int | None:
    with connections.reading() as connection:
        found = connection.execute("SELECT id FROM device WHERE name = ?", (device,)).fetchone()
    return None if found is None else found[0]


def _pages(
    connections: Connections,
    where: str,
    parameters: Row,
    from_us: int,
    to_us: int,
    newest_first: bool,
    limit: int | None,
) -> Iterator[Row]:
    """Rows in order of (reception time, reception, id), a page a query, each beginning after the last row."""
    direction, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
    query = (
        f"SELECT {COLUMNS} FROM {FROM} WHERE {where}m.observed_us >= ? AND m.observed_us < ?"
        f" AND (m.observed_us, m.reception, m.id) {beyond} (?, ?, ?)"
        f" ORDER BY m.observed_us {direction}, m.reception {direction}, m.id {direction} LIMIT ?"
    )
    last: Row = (to_us, 0, 0) if newest_first else (from_us - 1, 0, 0)
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        with connections.reading() as connection:
            page = connection.execute(query, (*parameters, from_us, to_us, *last, size)).fetchall()
        yield from page
        if len(page) < size:
            return
        last = (page[-1][5], page[-1][-2], page[-1][-1])
        if left is not None:
            left -= size


def _next_hour(connections: Connections, from_us: int, to_us: int, newest_first: bool) -> int | None:
    """The first hour of the range, or the last, in which any device was heard."""
    edge = "max" if newest_first else "min"
    with connections.reading() as connection:
        found = connection.execute(
            f"SELECT {edge}(observed_us) FROM message WHERE observed_us >= ? AND observed_us < ?",
            (from_us, to_us),
        ).fetchone()[0]
    return None if found is None else hour_of(found)


def _start_of(hour: int) -> int:
    """The first microsecond of an hour of `HOUR`; hour 0 begins after minus one."""
    return hour * HOUR_US if hour > 0 else (hour - 1) * HOUR_US + 1


def _clamp(us: int) -> int:
    return max(TIME_MIN_US, min(us, TIME_MAX_US + 1))

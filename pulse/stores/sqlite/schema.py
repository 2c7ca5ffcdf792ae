"""The layout of the telemetry file, and its creation.

A beat of 826 devices a second must cost microseconds, and years of them must stay deletable, so the
indexes grow at their end or within the current hour: `by_reception` and `by_measurement` append, `by_device`
is grouped by the hour of reception, which keeps the pages that a batch touches few and those that
retention deletes together.
"""

import sqlite3

from pulse.clock import HOUR_US
from pulse.errors import StoreRejected

VERSION = 2
"""2: records of kinds of data."""

HOUR = f"observed_us / {HOUR_US}"
"""The hour of reception, as the index has it (SQLite divides towards zero; see `hour_of`)."""

ASTRAY_US = HOUR_US
"""A measured time further than this from reception is found by an index of its own."""

_RECORDS = (
    "CREATE TABLE record (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, origin INTEGER NOT NULL,"
    " data_kind TEXT NOT NULL, observed_us INTEGER NOT NULL, measured_us INTEGER, at_us INTEGER,"
    " queued INTEGER NOT NULL, identity INTEGER NOT NULL, body TEXT NOT NULL, reception INTEGER NOT NULL)",
    "CREATE INDEX record_by_order ON record (reception)",
    "CREATE INDEX record_by_reception ON record (observed_us, data_kind, origin, at_us)",
    "CREATE UNIQUE INDEX same_record ON record (measured_us, device, identity, data_kind)"
    " WHERE measured_us IS NOT NULL",
    "CREATE UNIQUE INDEX same_undated_record ON record (device, identity, data_kind)"
    " WHERE measured_us IS NULL",
)
"""What layout 2 has more than 1."""

_STATEMENTS = (
    "CREATE TABLE device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_hour INTEGER NOT NULL)",
    "CREATE TABLE origin (id INTEGER PRIMARY KEY, community TEXT NOT NULL, kind TEXT NOT NULL,"
    " UNIQUE (community, kind))",
    "CREATE TABLE message (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, origin INTEGER NOT NULL,"
    " evidence INTEGER NOT NULL, channel INTEGER NOT NULL, observed_us INTEGER NOT NULL, measured_us INTEGER,"
    " retained INTEGER NOT NULL, queued INTEGER NOT NULL, identity INTEGER NOT NULL, seq INTEGER, fault TEXT,"
    " metrics TEXT, reception INTEGER NOT NULL)",
    "CREATE INDEX by_reception ON message (observed_us, reception)",
    f"CREATE INDEX by_device ON message ({HOUR}, device, observed_us, reception)",
    "CREATE UNIQUE INDEX by_measurement ON message (measured_us, device, identity, retained)"
    " WHERE measured_us IS NOT NULL",
    "CREATE INDEX undated ON message (device, identity, observed_us) WHERE measured_us IS NULL",
    "CREATE INDEX astray ON message (device, measured_us) WHERE measured_us IS NOT NULL"
    f" AND measured_us NOT BETWEEN observed_us - {ASTRAY_US} AND observed_us + {ASTRAY_US}",
    'CREATE TABLE transition (at_us INTEGER NOT NULL, device TEXT NOT NULL, "before" TEXT NOT NULL,'
    ' "after" TEXT NOT NULL, cause TEXT NOT NULL, community TEXT NOT NULL, kind TEXT NOT NULL,'
    ' recorded_us INTEGER NOT NULL, PRIMARY KEY (at_us, device, "before", "after", cause)) WITHOUT ROWID',
    "CREATE TABLE indicator (name TEXT NOT NULL, community TEXT NOT NULL, at_us INTEGER NOT NULL,"
    " numerator INTEGER NOT NULL, denominator INTEGER NOT NULL, lower REAL, upper REAL,"
    " states TEXT NOT NULL, PRIMARY KEY (name, community, at_us)) WITHOUT ROWID",
    *_RECORDS,
)


def hour_of(us: int) -> int:
    """The value of `HOUR` for a time: hours since 1970, rounded towards zero as SQLite does."""
    return us // HOUR_US if us >= 0 else -(-us // HOUR_US)


def version(connection: sqlite3.Connection) -> int:
    """Version of the file's layout; 0 for a new file. Raises `StoreRejected` for one from the future."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise StoreRejected(
            f"the telemetry file has layout {found} and this version knows {VERSION};"
            " install the newer version again"
        )
    return found


def lay_out(connection: sqlite3.Connection) -> None:
    """Bring a file, new or of an older layout, to this one in one transaction.

    Does nothing if another process was faster.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = version(connection)
        if found < VERSION:
            for statement in _RECORDS if found else _STATEMENTS:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise

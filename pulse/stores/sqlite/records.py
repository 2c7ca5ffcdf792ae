"""Records of kinds of data in the telemetry file: their SQL and their rows."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from pulse.messages import Record
from pulse.stores.base import Collected

_INSERT = (
    "INSERT INTO record (device, origin, data_kind, observed_us, measured_us, at_us, queued, identity, body,"
    " reception) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_SELECT = (
    "SELECT d.name, o.community, o.kind, r.data_kind, r.observed_us, r.measured_us, r.at_us, r.queued,"
    " r.identity, r.body, r.reception FROM record r"
    " CROSS JOIN device d ON d.id = r.device CROSS JOIN origin o ON o.id = r.origin"
    " WHERE r.reception > ? AND r.reception <= ?"
)
_COLLECTED = (
    "SELECT r.data_kind, o.community, count(*), min(r.at_us), max(r.at_us)"
    " FROM record r CROSS JOIN origin o ON o.id = r.origin"
    " WHERE r.observed_us >= ? AND r.observed_us < ? GROUP BY 1, 2 ORDER BY 1, 2"
)

DELETE_CHUNK = (
    "DELETE FROM record WHERE id IN"
    " (SELECT id FROM record WHERE observed_us < ? ORDER BY observed_us, data_kind, origin LIMIT ?)"
)


def write(
    connection: sqlite3.Connection,
    records: Sequence[Record],
    devices: Sequence[int],
    origins: Sequence[int],
) -> int:
    """Insert records, of which the numbers of device and origin are given; how many are new."""
    rows = [
        (
            device,
            origin,
            record.data_kind,
            record.observed_us,
            record.measured_us,
            record.at_us,
            record.queued,
            record.identity,
            record.body.decode(),
            record.order,
        )
        for record, device, origin in zip(records, devices, origins, strict=True)
    ]
    return connection.executemany(_INSERT, rows).rowcount


def read(
    connection: sqlite3.Connection,
    after: int,
    through: int,
    limit: int,
    data_kinds: Collection[str] | None,
    communities: Collection[str] | None,
) -> list[Record]:
    """See `TelemetryStore.read_records`."""
    query, parameters = _SELECT, [after, through]
    chosen: list[Any] = []
    for column, names in (("r.data_kind", data_kinds), ("o.community", communities)):
        if names is not None:
            query += f" AND {column} IN (SELECT value FROM json_each(?))"
            chosen.append(msgspec.json.encode(sorted(names)).decode())
    query += " ORDER BY r.reception, r.id LIMIT ?"
    return [_record(row) for row in connection.execute(query, (*parameters, *chosen, limit))]


def collected(connection: sqlite3.Connection, from_us: int, to_us: int) -> list[Collected]:
    """See `TelemetryStore.collected`."""
    return [Collected(*row) for row in connection.execute(_COLLECTED, (from_us, to_us))]


def _record(row: Sequence[Any]) -> Record:
    device, community, kind, data_kind, observed_us, measured_us, at_us, queued, identity, body, order = row
    return Record(
        device,
        community,
        kind,
        data_kind,
        observed_us,
        measured_us,
        at_us,
        bool(queued),
        identity,
        body.encode(),
        order,
    )

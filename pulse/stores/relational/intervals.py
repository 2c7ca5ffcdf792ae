"""Runs: what evidence says of every device, in valid time and in knowledge time."""

from collections.abc import Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
)

from pulse.batches import Ints
from pulse.ledger.model import FOREVER, Evidence, Run
from pulse.stores.relational.tables import runs as table
from pulse.stores.relational.values import canonical, from_null

_EVIDENCE = tuple(Evidence)

_DEVICES = 4096
"""Devices whose runs are read together where those of all are."""


def put_runs(connection: Connection, runs: Iterable[tuple[str, Run]]) -> None:
    """Store runs; one of the same device, start, recorded and since is overwritten."""
    # In one order everywhere, so that two writers of PostgreSQL cannot wait for each other.
    rows = sorted(map(_row, runs), key=_PLACE)
    if rows:
        # Straight to the driver: SQLAlchemy's preparation of each row takes longer than the database.
        connection.exec_driver_sql(_upsertion(connection.dialect.paramstyle), rows)


def replace_runs(connection: Connection, device: str, cut_us: int, runs: Iterable[Run]) -> None:
    """Delete the runs of a device that end after `cut_us` or are open, then store `runs`."""
    connection.execute(
        delete(table).where(table.c.device == device, or_(table.c.end_us.is_(None), table.c.end_us > cut_us))
    )
    put_runs(connection, ((device, run) for run in runs))


@cache
def _upsertion(paramstyle: str) -> str:
    """The statement that stores the rows of `_row`, in the words of SQLite and PostgreSQL both."""
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key]
    marks = ", ".join(["?" if paramstyle == "qmark" else "%s"] * len(names))
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed}"
    )


def ever(connection: Connection, device: str, from_us: int) -> list[Run]:
    """Every run of a device that ends after `from_us` or is open, superseded ones too, in order of start."""
    rows = connection.execute(
        select(table)
        .where(table.c.device == device, or_(table.c.end_us.is_(None), table.c.end_us > from_us))
        .order_by(table.c.start_us, table.c.recorded_us)
    )
    return [_run(row) for row in rows]


def all_ever(connection: Connection, from_us: int, to_us: int) -> dict[str, list[Run]]:
    """Every run that overlaps `[from_us, to_us)`, superseded ones too, by device, in order of start."""
    found: dict[str, list[Run]] = {}
    rows = connection.execute(
        select(table)
        .where(table.c.start_us < to_us, or_(table.c.end_us.is_(None), table.c.end_us > from_us))
        .order_by(table.c.device, table.c.start_us, table.c.recorded_us)
    )
    for row in rows:
        found.setdefault(row[0], []).append(_run(row))
    return found


def runs(
    connection: Connection, from_us: int, to_us: int, known_us: int, devices: Sequence[str] | None = None
) -> dict[str, list[Run]]:
    """The runs that overlap `[from_us, to_us)` as known at `known_us`, by device, in order of start.

    A device without any is not in the answer. Relies on what the ledger guarantees: those of one device
    that are known at one time do not overlap, so only the last one before `from_us` can reach into it.
    """
    found: dict[str, list[Run]] = {}
    if devices is not None and not devices:
        return found
    values = {"at": from_us, "to": to_us, "known": known_us, "devices": _names(devices)}
    statement = _overlapping(connection.dialect.name, devices is not None)
    for row in connection.execute(statement, values):
        found.setdefault(row[0], []).append(_run(row))
    return found


class StoredColumns(NamedTuple):
    """Runs in columns: those of `devices[0]` come first, `counts[0]` of them, each one's in no order."""

    devices: list[str]
    counts: Ints
    start: Ints
    end: Ints
    evidence: Ints
    since: Ints
    recorded: Ints


def run_columns(connection: Connection, from_us: int, to_us: int, known_us: int) -> StoredColumns:
    """What `runs` gives of all devices, in columns and without an object for each run; devices by id."""
    values = {"at": from_us, "to": to_us, "known": known_us, "devices": None}
    # The database hands over one text a device: a row for every run would cost three times as much.
    statement = _in_texts(connection.dialect.name).execution_options(yield_per=_DEVICES)
    devices: list[str] = []
    counts = [np.empty(0, dtype=np.int64)]
    numbers = [np.empty((0, 5), dtype=np.int64)]
    for rows in connection.execute(statement, values).partitions():
        ids, own, texts = zip(*rows, strict=True)
        devices.extend(ids)
        counts.append(np.array(own, dtype=np.int64))
        numbers.append(np.fromstring("".join(texts), dtype=np.int64, sep=" ").reshape(-1, 5))
    return StoredColumns(devices, np.concatenate(counts), *np.concatenate(numbers).T.copy())


def last_runs(
    connection: Connection, at_us: int, known_us: int, devices: Sequence[str] | None = None
) -> dict[str, Run]:
    """Of every device the latest run with `start <= at_us` known at `known_us`, reaching `at_us` or not."""
    if devices is not None and not devices:
        return {}
    values = {"at": at_us, "known": known_us, "devices": _names(devices)}
    statement = _latest(connection.dialect.name, devices is not None)
    return {row[0]: _run(row) for row in connection.execute(statement, values)}


def _names(devices: Sequence[str] | None) -> str | None:
    return None if devices is None else canonical(sorted(set(devices)))


def _row(one: tuple[str, Run]) -> tuple[Any, ...]:
    """A device's run, a value for each column in the table's order."""
    device, (start, end, evidence, since, recorded, superseded) = one
    # As `to_null`: a backlog prolongs every device's run at each step.
    ends = None if end >= FOREVER else end
    return device, start, recorded, since, ends, int(evidence), None if superseded >= FOREVER else superseded


_PLACE = itemgetter(0, 1)


def _run(row: Row[*tuple[Any, ...]]) -> Run:
    _, start, recorded, since, end, evidence, superseded = row
    return Run(start, from_null(end), _EVIDENCE[evidence], since, recorded, from_null(superseded))


def _known(rows: FromClause) -> ColumnElement[bool]:
    """Whether rows of `table` are known at the value `known`."""
    return and_(
        rows.c.recorded_us <= bindparam("known"),
        or_(rows.c.superseded_us.is_(None), rows.c.superseded_us > bindparam("known")),
    )


def _subjects(dialect: str, named: bool) -> FromClause:
    """The devices that are asked for: those of the JSON list `devices`, or all that have runs."""
    if named and dialect == "postgresql":
        names = cast(bindparam("devices"), JSON(none_as_null=True))
        return select(func.json_array_elements_text(names).column_valued("device").label("device")).cte(
            "named"
        )
    if named:
        return select(func.json_each(bindparam("devices")).table_valued("value").c.value.label("device")).cte(
            "named"
        )
    # From each device straight to the next one: as many look-ups in the index as there are devices.
    subjects = select(func.min(table.c.device).label("device")).cte("subjects", recursive=True)
    following = select(func.min(table.c.device)).where(table.c.device > subjects.c.device)
    return subjects.union_all(select(following.scalar_subquery()).where(subjects.c.device.is_not(None)))


def _last_starts(dialect: str, named: bool) -> CTE:
    """For every device, where its last run with `start <= at` begins, NULL if there is none."""
    subjects = _subjects(dialect, named)
    earlier = table.alias("earlier")
    last = (
        select(earlier.c.start_us)
        .where(earlier.c.device == subjects.c.device, earlier.c.start_us <= bindparam("at"), _known(earlier))
        .order_by(earlier.c.start_us.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(subjects.c.device, last.label("start_us")).where(subjects.c.device.is_not(None)).cte("starts")
    )


@cache
def _overlapping(dialect: str, named: bool) -> Select[Any]:
    return _touching(select(*table.c), dialect, named).order_by(table.c.device, table.c.start_us)


@cache
def _in_texts(dialect: str) -> Select[Any]:
    end = func.coalesce(table.c.end_us, FOREVER)
    numbers = (table.c.start_us, end, table.c.evidence, table.c.since_us, table.c.recorded_us)
    text: ColumnElement[str] = literal("")
    for number in numbers:
        text = text.concat(cast(number, Text)).concat(literal(" "))
    run = select(table.c.device, func.count(), func.aggregate_strings(text, ""))
    return _touching(run, dialect, named=False).group_by(table.c.device).order_by(table.c.device)


def _touching(columns: Select[Any], dialect: str, named: bool) -> Select[Any]:
    """`columns` of the runs that overlap `[at, to)`."""
    starts = _last_starts(dialect, named)
    return columns.join_from(
        starts,
        table,
        and_(
            table.c.device == starts.c.device,
            table.c.start_us >= func.coalesce(starts.c.start_us, bindparam("at")),
        ),
    ).where(
        table.c.start_us < bindparam("to"),
        or_(table.c.end_us.is_(None), table.c.end_us > bindparam("at")),
        _known(table),
    )


@cache
def _latest(dialect: str, named: bool) -> Select[Any]:
    starts = _last_starts(dialect, named)
    return (
        select(*table.c)
        .join_from(
            starts, table, and_(table.c.device == starts.c.device, table.c.start_us == starts.c.start_us)
        )
        .where(_known(table))
        .order_by(table.c.device, table.c.recorded_us)
    )

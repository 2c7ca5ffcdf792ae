"""Communities, kinds, planned quantities and devices; what nobody registered waits in the inbox."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, and_, exists, func, select

from pulse.clock import SECOND_US
from pulse.errors import BadInput
from pulse.ledger.fleet import DeviceColumns, Fleet
from pulse.ledger.model import EVER, FOREVER, Device
from pulse.registry.model import (
    Changes,
    Community,
    DeviceRecord,
    Discovered,
    Kind,
    Planned,
    Policy,
    check_community,
    check_device,
    check_kind,
    check_planned,
    microseconds,
    seconds,
)
from pulse.stores.relational import meta, pastdevices, tables
from pulse.stores.relational import policies as terms
from pulse.stores.relational.pastdevices import record_of
from pulse.stores.relational.values import canonical, insert, upsert

DEFAULT_TIMEOUT_S = 180.0

_CHUNK = 500
"""Ids named in one query."""
_ROWS = 10_000
"""Rows fetched at once where all are asked for."""

_Record = TypeVar("_Record", bound=tuple[Any, ...])
_Values = dict[str, Any]
_Key = tuple[Any, ...]


def communities(connection: Connection) -> list[Community]:
    """Every community, by id."""
    return [Community(*row) for row in connection.execute(_ordered(tables.communities))]


def kinds(connection: Connection) -> list[Kind]:
    """Every kind, by id."""
    return [
        Kind(row.id, row.name_zh, row.name_en, seconds(row.interval_us), seconds(row.timeout_us))
        for row in connection.execute(_ordered(tables.kinds))
    ]


def planned(connection: Connection) -> dict[tuple[str, str], int]:
    """The planned quantity by community and kind."""
    return {(row.community, row.kind): row.quantity for row in connection.execute(_ordered(tables.planned))}


def devices(
    connection: Connection, *, community: str | None = None, kind: str | None = None
) -> list[DeviceRecord]:
    """Every device, or those of a community, a kind or both, by id."""
    query = _ordered(tables.devices)
    if community is not None:
        query = query.where(tables.devices.c.community == community)
    if kind is not None:
        query = query.where(tables.devices.c.kind == kind)
    return [record_of(row) for row in connection.execute(query)]


def distrusted(connection: Connection) -> list[str]:
    """The devices whose clocks nobody trusts."""
    own = tables.devices.c
    return list(connection.scalars(select(own.id).where(own.clock_untrusted).order_by(own.id)))


def device(connection: Connection, device_id: str) -> DeviceRecord | None:
    """One device, None when it is not registered."""
    row = connection.execute(select(tables.devices).where(tables.devices.c.id == device_id)).one_or_none()
    return None if row is None else record_of(row)


def put_communities(connection: Connection, records: Iterable[Community], now_us: int) -> Changes:
    """Add or change communities. Raises `BadInput` naming the record and member."""
    del now_us  # Names carry no history.
    rows = [r._asdict() for r in _checked(records, check_community)]
    return _put(connection, tables.communities, rows)[0]


def put_kinds(connection: Connection, records: Iterable[Kind], now_us: int) -> Changes:
    """Add or change kinds; a changed timeout is in force from `now_us` on. Raises `BadInput`."""
    rows = [
        {
            "id": r.id,
            "name_zh": r.name_zh,
            "name_en": r.name_en,
            "interval_us": microseconds(r.interval_s),
            "timeout_us": microseconds(r.timeout_s),
        }
        for r in _checked(records, check_kind)
    ]
    before = _existing(connection, tables.kinds, None)
    changes, stored = _put(connection, tables.kinds, rows, before)
    _put_versions(connection, terms.KIND, stored, before, ("interval_us", "timeout_us"), now_us)
    return changes


def put_planned(connection: Connection, records: Iterable[Planned], now_us: int) -> Changes:
    """Add or change planned quantities. Raises `BadInput`, also for an unknown community or kind."""
    del now_us  # The plan carries no history.
    rows = [r._asdict() for r in _checked(records, check_planned)]
    _check_known(connection, rows, lambda row: f"{row['community']}/{row['kind']}")
    return _put(connection, tables.planned, rows)[0]


def put_devices(
    connection: Connection, records: Iterable[DeviceRecord], now_us: int, *, by: str | None = None
) -> Changes:
    """Register or change devices; what was said of them before is kept, `by` is who says it now.

    A changed timeout, lateness or clock trust is in force from `now_us` on, a new device's from ever. A
    commissioning or retirement that is new or changed counts as known from `now_us` unless the record says
    since when. Raises `BadInput` naming the record and member, also for an unknown community or kind.
    """
    rows = [_device_row(r) for r in _checked(records, check_device)]
    _check_known(connection, rows, lambda row: f"device {row['id']}")
    before = _existing(connection, tables.devices, [row["id"] for row in rows])
    for row in rows:
        was = before.get((row["id"],), {})
        for fact in ("commissioned", "retired"):
            _say_since_when(row, was, fact, now_us)
        row |= {"since_us": was.get("since_us"), "said_by": was.get("said_by")}
        if row != was:
            row |= {"since_us": max(now_us, row["since_us"] or now_us), "said_by": by}
    changes, stored = _put(connection, tables.devices, rows, before)
    changed = [before[row["id"],] for row in stored if (row["id"],) in before]
    pastdevices.keep(connection, changed, now_us)
    members = ("timeout_us", "max_lateness_us", "clock_untrusted", "community", "kind")
    _put_versions(connection, terms.DEVICE, stored, before, members, now_us)
    return changes


def policies(connection: Connection) -> list[Policy]:
    """Every version of what was agreed, by scope, subject and time of declaration."""
    return terms.policies(connection)


def version(connection: Connection) -> int:
    """A number that grows with every change of registry, policies or maintenance."""
    return meta.count(connection, meta.REGISTRY)


def ledger_devices(connection: Connection, *, default_timeout_s: float = DEFAULT_TIMEOUT_S) -> list[Device]:
    """Every device as the ledger needs it, by id: policies resolved into terms, not commissioned is never."""
    return list(ledger_fleet(connection, default_timeout_s=default_timeout_s).devices())


def ledger_fleet(
    connection: Connection, *, default_timeout_s: float = DEFAULT_TIMEOUT_S, known_us: int = FOREVER
) -> Fleet:
    """The same in columns, without ever holding all rows; with the policies declared until `known_us`."""
    return Fleet(_ledger_columns(connection, default_timeout_s, known_us))


def _ledger_columns(
    connection: Connection, default_timeout_s: float, known_us: int
) -> Iterator[DeviceColumns]:
    resolver = terms.Resolver(connection, round(default_timeout_s * SECOND_US), known_us)
    device, said = tables.devices.c, tables.policies.c
    query = (
        select(
            device.id,
            device.community,
            device.kind,
            device.commissioned_us,
            device.retired_us,
            device.commissioned_recorded_us,
            device.retired_recorded_us,
            said.since_us,
            said.recorded_us,
            said.interval_us,
            said.timeout_us,
            said.max_lateness_us,
            said.clock_untrusted,
            said.community,
            said.kind,
        )
        .join_from(
            tables.devices,
            tables.policies,
            and_(said.scope == terms.DEVICE, said.subject == device.id),
            isouter=True,
        )
        .order_by(device.id, said.recorded_us)
        .execution_options(yield_per=_ROWS)
    )
    held: list[Row[Any]] = []
    for some in connection.execute(query).partitions():
        # What follows may go on with the versions of the last device.
        rows = [*held, *some]
        begin = next((at for at in range(len(rows), 0, -1) if rows[at - 1].id != rows[-1].id), 0)
        held = rows[begin:]
        if begin:
            yield _as_columns(rows[:begin], resolver)
    if held:
        yield _as_columns(held, resolver)


def _as_columns(rows: Sequence[Row[Any]], resolver: terms.Resolver) -> DeviceColumns:
    """Devices from their rows, one for each version of what was agreed with a device."""
    columns = list(zip(*rows, strict=True))
    ids, versions = columns[0], list(zip(*columns[7:], strict=True))
    first = [at for at in range(len(ids)) if not at or ids[at] != ids[at - 1]]
    said = [
        tuple(version for version in versions[begin:end] if version[0] is not None)
        for begin, end in pairwise([*first, len(ids)])
    ]

    def own(column: int, absent: object) -> list[Any]:
        values = columns[column]
        return [absent if values[at] is None else values[at] for at in first]

    return DeviceColumns(
        own(0, ""),
        own(1, ""),
        own(2, ""),
        [resolver.terms(one) for one in said],
        own(3, FOREVER),
        own(4, FOREVER),
        own(5, EVER),
        own(6, EVER),
    )


def discover(connection: Connection, device: str, community: str, kind: str, observed_us: int) -> None:
    """Note that a device was heard under this community and kind; repeating it changes nothing."""
    table = tables.discovered
    statement = insert(connection, table)
    # SQLite's min of several values is PostgreSQL's least.
    postgresql = connection.dialect.name == "postgresql"
    least, greatest = (func.least, func.greatest) if postgresql else (func.min, func.max)
    statement = statement.on_conflict_do_update(
        index_elements=["device", "community", "kind"],
        set_={
            "first_us": least(table.c.first_us, statement.excluded.first_us),
            "last_us": greatest(table.c.last_us, statement.excluded.last_us),
        },
    )
    heard = Discovered(device, community, kind, observed_us, observed_us)
    connection.execute(statement, heard._asdict())


def inbox(
    connection: Connection, limit: int = 1000, *, communities: Iterable[str] | None = None
) -> list[Discovered]:
    """Heard devices that are not registered, the last heard first, at most `limit`.

    With `communities`, those only whose topics named one of them.
    """
    table = tables.discovered
    registered = exists().where(tables.devices.c.id == table.c.device)
    query = select(table).where(~registered)
    if communities is not None:
        query = query.where(table.c.community.in_(sorted(communities)))
    rows = connection.execute(query.order_by(table.c.last_us.desc(), table.c.device).limit(limit))
    return [Discovered(*row) for row in rows]


def first_heard(connection: Connection, device: str) -> int | None:
    """When a device was first heard without being registered, None when it never was."""
    table = tables.discovered
    first: int | None = connection.scalar(select(func.min(table.c.first_us)).where(table.c.device == device))
    return first


def _ordered(table: Table) -> Any:
    return select(table).order_by(*table.primary_key)


def _device_row(record: DeviceRecord) -> _Values:
    row = record._asdict()
    row["timeout_us"] = microseconds(row.pop("timeout_s"))
    row["max_lateness_us"] = microseconds(row.pop("max_lateness_s"))
    row["tags"] = canonical(list(record.tags))
    return row


def _say_since_when(row: _Values, before: Mapping[str, Any], fact: str, now_us: int) -> None:
    """Fill in since when commissioning or retirement is known."""
    at, recorded = f"{fact}_us", f"{fact}_recorded_us"
    if row[at] is None:
        row[recorded] = None
    elif row[recorded] is None:
        row[recorded] = before[recorded] if before.get(at) == row[at] else now_us


def _checked(records: Iterable[_Record], check: Callable[[_Record], None]) -> Iterator[_Record]:
    for record in records:
        try:
            check(record)
        except BadInput as error:
            raise BadInput(error.reason, where=f"{record[0]} {error.where}") from error
        yield record


def _check_known(connection: Connection, rows: Sequence[_Values], shown: Callable[[_Values], str]) -> None:
    for member, table in (("community", tables.communities), ("kind", tables.kinds)):
        known = set(connection.scalars(select(table.c.id)))
        for row in rows:
            if member in row and row[member] not in known:
                raise BadInput(f"no {member} has the id {row[member]!r}; register it first", where=shown(row))


def _existing(connection: Connection, table: Table, ids: Sequence[str] | None) -> dict[_Key, _Values]:
    """The rows by primary key: those of these ids, or all."""
    keys = [column.name for column in table.primary_key]
    queries = [select(table)]
    if ids is not None:
        queries = [
            select(table).where(table.c.id.in_(ids[first : first + _CHUNK]))
            for first in range(0, len(ids), _CHUNK)
        ]
    found = {}
    for query in queries:
        for row in connection.execute(query).mappings():
            found[tuple(row[key] for key in keys)] = dict(row)
    return found


def _put(
    connection: Connection,
    table: Table,
    rows: Sequence[_Values],
    before: dict[_Key, _Values] | None = None,
) -> tuple[Changes, list[_Values]]:
    """Store the rows that differ from what is there; give the counts and the rows stored."""
    if before is None:
        before = _existing(connection, table, None)
    keys = [column.name for column in table.primary_key]
    added, changed = [], []
    seen: set[_Key] = set()
    for row in rows:
        key = tuple(row[name] for name in keys)
        if key in seen:
            raise BadInput("given twice", where="/".join(key))
        seen.add(key)
        if key not in before:
            added.append(row)
        elif before[key] != row:
            changed.append(row)
    stored = added + changed
    if stored:
        connection.execute(upsert(connection, table), stored)
        meta.grow(connection, meta.REGISTRY)
    return Changes(len(added), len(changed), len(rows) - len(stored)), stored


def _put_versions(
    connection: Connection,
    scope: str,
    stored: Sequence[_Values],
    before: Mapping[_Key, _Values],
    members: Sequence[str],
    now_us: int,
) -> None:
    """Store as versions what these records say of policies that they did not say before.

    The first is from ever. A lateness of 0 and a clock that is trusted are what nobody said anything of.
    """
    histories = terms.histories(connection, [(scope, row["id"]) for row in stored])
    versions = []
    for row in stored:
        said = {
            name: row[name] for name in members if before.get((row["id"],), {}).get(name, ...) != row[name]
        }
        for silent in said.keys() & {"max_lateness_us", "clock_untrusted"}:
            said[silent] = said[silent] or None
        history = histories.get((scope, row["id"]), [])
        if not history:
            versions.append(terms.Version(scope, row["id"], EVER, EVER, **said))
        elif said:
            version = terms.declared(scope, row["id"], history, said, now_us)
            versions += [] if version is None else [version]
    terms.put(connection, versions)

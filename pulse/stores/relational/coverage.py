"""When the collector could hear: its first start, blind intervals, and how far the database is complete."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, or_, select, update

from pulse.errors import NotFound
from pulse.ledger.model import Blind
from pulse.stores.relational import meta, scopes
from pulse.stores.relational.tables import blinds, devices
from pulse.stores.relational.tables import watermark as watermark_table
from pulse.stores.relational.values import from_null, to_null, upsert

_START = "coverage_start_us"
_WAITING = "ledger_waiting"


class Filter(NamedTuple):
    """Which blind intervals are asked for: those that touch `[from_us, to_us)`, as known at `known_us`
    (None: every one ever recorded), of the communities `within` (None: all). What is about no community in
    particular is for everybody.
    """

    from_us: int | None = None
    to_us: int | None = None
    known_us: int | None = None
    within: frozenset[str] | None = None


class Watermark(NamedTuple):
    """Everything that happened until `through_us` is in the database.

    `listening` is whether the collector hears the broker, `written_us` when it said so, `session` who
    wrote it (new at every start of a collector).
    """

    through_us: int
    listening: bool
    written_us: int
    session: str


def start_us(connection: Connection) -> int | None:
    """The collector's first start, before which all is blind; None when it never ran."""
    value = meta.get(connection, _START)
    return None if value is None else int(value)


def set_start(connection: Connection, at_us: int) -> None:
    """Set the collector's first start, overwriting."""
    meta.put(connection, _START, str(at_us))


def entries(connection: Connection) -> list[tuple[int, Blind]]:
    """Every blind interval with its id, revoked ones too, in the order in which they were recorded."""
    return [(row.id, _blind(row)) for row in connection.execute(select(blinds).order_by(blinds.c.id))]


def listing(
    connection: Connection, wanted: Filter, *, before_id: int | None = None, limit: int = 1000
) -> list[tuple[int, Blind]]:
    """The blind intervals that match, with their ids; recorded last first, of ids below `before_id`."""
    conditions = []
    if wanted.from_us is not None:
        conditions.append(or_(blinds.c.end_us.is_(None), blinds.c.end_us > wanted.from_us))
    if wanted.to_us is not None:
        conditions.append(blinds.c.start_us < wanted.to_us)
    if wanted.known_us is not None:
        conditions.append(blinds.c.recorded_us <= wanted.known_us)
        conditions.append(or_(blinds.c.revoked_us.is_(None), blinds.c.revoked_us > wanted.known_us))
    if wanted.within is not None:
        own = sorted(wanted.within)
        visible = select(devices.c.id).where(devices.c.community.in_(own))
        conditions.append(or_(blinds.c.community.is_(None), blinds.c.community.in_(own)))
        conditions.append(or_(blinds.c.device.is_(None), blinds.c.device.in_(visible)))
    if before_id is not None:
        conditions.append(blinds.c.id < before_id)
    query = select(blinds).where(*conditions).order_by(blinds.c.id.desc()).limit(limit)
    return [(row.id, _blind(row)) for row in connection.execute(query)]


def entry(connection: Connection, entry_id: int) -> Blind:
    """The blind interval of that id. Raises `NotFound` for an id that was never given."""
    row = connection.execute(select(blinds).where(blinds.c.id == entry_id)).one_or_none()
    if row is None:
        raise NotFound(f"no blind interval has the id {entry_id}")
    return _blind(row)


def record(connection: Connection, blind: Blind) -> int:
    """Store a blind interval and give its id."""
    done = connection.execute(
        insert(blinds)
        .returning(blinds.c.id)
        .values(
            start_us=blind.start,
            end_us=to_null(blind.end),
            recorded_us=blind.recorded,
            revoked_us=to_null(blind.revoked),
            cause=blind.cause,
            **scopes.columns(blind.scope),
        )
    )
    return int(done.scalar_one())


def revoke(connection: Connection, entry_id: int, at_us: int) -> None:
    """Say that from `at_us` on the interval is known not to have been blind; the first revocation stays.

    Raises `NotFound` for an id that was never given.
    """
    first = update(blinds).where(blinds.c.id == entry_id, blinds.c.revoked_us.is_(None))
    if connection.execute(first.values(revoked_us=at_us)).rowcount:
        return
    if connection.scalar(select(blinds.c.id).where(blinds.c.id == entry_id)) is None:
        raise NotFound(f"no blind interval has the id {entry_id}")


def waiting(connection: Connection) -> int:
    """How many late messages, received before the watermark, the ledger has not been able to take in.

    They need older messages of the telemetry store while that does not answer.
    """
    return int(meta.get(connection, _WAITING) or 0)


def set_waiting(connection: Connection, messages: int) -> None:
    """Say how many."""
    meta.put(connection, _WAITING, str(messages))


def _blind(row: Row[Any]) -> Blind:
    return Blind(
        row.start_us,
        from_null(row.end_us),
        row.recorded_us,
        from_null(row.revoked_us),
        scopes.scope(row),
        row.cause,
    )


def watermark(connection: Connection) -> Watermark | None:
    """The last watermark, None when no collector ever wrote one."""
    row = connection.execute(select(watermark_table)).one_or_none()
    return None if row is None else Watermark(row.through_us, row.listening, row.written_us, row.session)


def set_watermark(connection: Connection, mark: Watermark) -> None:
    """Overwrite the watermark."""
    connection.execute(upsert(connection, watermark_table), {"id": 1, **mark._asdict()})

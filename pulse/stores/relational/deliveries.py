"""Deliveries of outlets: made once, kept until they are acknowledged, and every access to them."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from pulse.sharing.deliveries import Day, Delivery, identifier
from pulse.sharing.outlets import Format
from pulse.sharing.receipts import Part, parts_of, parts_text
from pulse.stores.relational.tables import deliveries as table
from pulse.stores.relational.tables import delivery_attempts as attempts
from pulse.stores.relational.tables import delivery_days as days
from pulse.stores.relational.values import storable

WAITING, ACKNOWLEDGED, SPLIT = "waiting", "acknowledged", "split"
DONE, FAILED, REFUSED = "done", "failed", "refused"
SEND, TEST, PULL, COMMIT = "send", "test", "pull", "commit"

_MOST_DETAIL = 500


class Stored(NamedTuple):
    """A delivery as it is kept, without its content.

    `state` is `waiting`, `acknowledged` or `split` (its records are in two others). Of `attempts` that failed
    `error` is the last one's reason; it is not sent before `next_us`, and was sent last at `sent_us`.
    """

    outlet: str
    number: int
    made_us: int
    format: Format
    size: int
    digest: str
    parts: tuple[Part, ...]
    records: int
    state: str
    attempts: int
    next_us: int
    sent_us: int | None
    acknowledged_us: int | None
    error: str | None

    @property
    def id(self) -> str:
        """What the department knows it by."""
        return identifier(self.outlet, self.number)


class Attempt(NamedTuple):
    """An access: who did what with a delivery of an outlet, from or towards where, and what came of it."""

    at_us: int
    outlet: str
    delivery: str | None
    action: str
    actor: str
    address: str
    outcome: str
    detail: str
    id: int = 0


class Waiting(NamedTuple):
    """What waits for an outlet's department."""

    deliveries: int
    records: int
    bytes: int
    oldest_us: int | None


_COLUMNS = [table.c[name] for name in Stored._fields]


def add(connection: Connection, outlet: str, form: str, made: Delivery, now_us: int) -> None:
    """Keep a delivery that was made now."""
    connection.execute(
        insert(table).values(
            outlet=outlet,
            number=made.number,
            made_us=now_us,
            format=form,
            content=made.content,
            size=len(made.content),
            digest=made.digest,
            parts=parts_text(made.parts),
            records=made.records,
            state=WAITING,
            attempts=0,
            next_us=now_us,
        )
    )
    rows = [
        {
            "outlet": outlet,
            "delivery": made.number,
            "data_kind": day.data_kind,
            "day": day.day,
            "count": day.records,
            "digest": day.digest,
        }
        for day in made.days
    ]
    if rows:
        connection.execute(insert(days), rows)


def one(connection: Connection, outlet: str, number: int) -> Stored | None:
    """A delivery, None if there is none."""
    row = connection.execute(select(*_COLUMNS).where(_key(outlet, number))).one_or_none()
    return None if row is None else _stored(row)


def content(connection: Connection, outlet: str, number: int) -> bytes | None:
    """What is sent of a delivery, None once it is kept no longer."""
    found: bytes | None = connection.scalar(select(table.c.content).where(_key(outlet, number)))
    return found


def waiting(
    connection: Connection, outlet: str, *, after: int = 0, until: int | None = None, limit: int = 1000
) -> list[Stored]:
    """The first deliveries that wait for their acknowledgement, by number, of those in `(after, until]`."""
    query = select(*_COLUMNS).where(
        table.c.outlet == outlet, table.c.state == WAITING, table.c.number > after
    )
    if until is not None:
        query = query.where(table.c.number <= until)
    return [_stored(row) for row in connection.execute(query.order_by(table.c.number).limit(limit))]


def following(connection: Connection, outlet: str, after: int, limit: int) -> list[Stored]:
    """The first deliveries behind a number whose records are in no other ones, whatever their state."""
    query = select(*_COLUMNS).where(table.c.outlet == outlet, table.c.number > after, table.c.state != SPLIT)
    return [_stored(row) for row in connection.execute(query.order_by(table.c.number).limit(limit))]


def outstanding(connection: Connection) -> dict[str, Waiting]:
    """What waits, by outlet; those of which nothing does are left out."""
    rows = connection.execute(
        select(
            table.c.outlet,
            func.count(),
            func.sum(table.c.records),
            func.sum(table.c.size),
            func.min(table.c.made_us),
        )
        .where(table.c.state == WAITING)
        .group_by(table.c.outlet)
    )
    return {row[0]: Waiting(row[1], int(row[2]), int(row[3]), row[4]) for row in rows}


def listing(
    connection: Connection,
    outlet: str,
    *,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Stored]:
    """The newest deliveries of an outlet, newest first; those numbered below `before`."""
    query = select(*_COLUMNS).where(table.c.outlet == outlet).order_by(table.c.number.desc()).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    if before is not None:
        query = query.where(table.c.number < before)
    return [_stored(row) for row in connection.execute(query)]


def made_in(connection: Connection, from_us: int, to_us: int) -> Iterator[Stored]:
    """The deliveries made in `[from_us, to_us)` whose records are in no other ones."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(table.c.made_us >= from_us, table.c.made_us < to_us, table.c.state != SPLIT)
        .order_by(table.c.made_us)
        .execution_options(yield_per=1000)
    )
    return (_stored(row) for row in rows)


def sent(connection: Connection, outlet: str, number: int, now_us: int) -> None:
    """Note that a delivery goes out now, or was handed out."""
    connection.execute(update(table).where(_key(outlet, number)).values(sent_us=now_us))


def failed(connection: Connection, outlet: str, number: int, error: str, next_us: int) -> None:
    """Note that it did not arrive, why, and not to try again before `next_us`."""
    connection.execute(
        update(table)
        .where(_key(outlet, number), table.c.state == WAITING)
        .values(error=_shortened(error), next_us=next_us, attempts=table.c.attempts + 1)
    )


def acknowledged(connection: Connection, outlet: str, number: int, now_us: int) -> bool:
    """Note that it has its receipt; False for one that no longer waits."""
    change = (
        update(table)
        .where(_key(outlet, number), table.c.state == WAITING)
        .values(state=ACKNOWLEDGED, acknowledged_us=now_us, error=None)
    )
    return connection.execute(change).rowcount == 1


def split(connection: Connection, outlet: str, number: int) -> bool:
    """Note that its records are in others; False for one that no longer waits. Its sums count no more."""
    change = update(table).where(_key(outlet, number), table.c.state == WAITING).values(state=SPLIT)
    if connection.execute(change).rowcount != 1:
        return False
    connection.execute(days.delete().where(days.c.outlet == outlet, days.c.delivery == number))
    return True


def retry(connection: Connection, outlet: str, now_us: int) -> int:
    """Let everything that waits be tried now, and say how many deliveries that are."""
    change = (
        update(table)
        .where(table.c.outlet == outlet, table.c.state == WAITING, table.c.next_us > now_us)
        .values(next_us=now_us)
    )
    return connection.execute(change).rowcount


def trim(connection: Connection, before_us: int) -> int:
    """Forget the contents of what was acknowledged (or split when made) before then; how many those were."""
    over = (table.c.acknowledged_us < before_us) | ((table.c.state == SPLIT) & (table.c.made_us < before_us))
    change = update(table).where(table.c.content.is_not(None), over).values(content=None)
    return connection.execute(change).rowcount


def kept(connection: Connection) -> set[tuple[str, int]]:
    """The deliveries that are acknowledged and whose contents are there still."""
    query = select(table.c.outlet, table.c.number).where(
        table.c.state == ACKNOWLEDGED, table.c.content.is_not(None)
    )
    return {(row.outlet, row.number) for row in connection.execute(query)}


def days_of(connection: Connection, outlet: str, number: int) -> list[Day]:
    """The sums of a delivery, by kind and day."""
    query = select(days.c.data_kind, days.c.day, days.c.count, days.c.digest).where(
        days.c.outlet == outlet, days.c.delivery == number
    )
    return [Day(*row) for row in connection.execute(query.order_by(days.c.data_kind, days.c.day))]


def note(connection: Connection, attempt: Attempt) -> None:
    """Write an access down, for good."""
    row = attempt._asdict()
    row.pop("id")
    connection.execute(insert(attempts).values({**row, "detail": _shortened(attempt.detail)}))


def accesses(
    connection: Connection,
    *,
    outlets: Iterable[str] | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Attempt]:
    """The newest accesses, newest first; those whose id is below `before`."""
    query = (
        select(*(attempts.c[name] for name in Attempt._fields)).order_by(attempts.c.id.desc()).limit(limit)
    )
    if outlets is not None:
        query = query.where(attempts.c.outlet.in_(list(outlets)))
    if before is not None:
        query = query.where(attempts.c.id < before)
    return [Attempt(*row) for row in connection.execute(query)]


def _key(outlet: str, number: int) -> ColumnElement[bool]:
    return (table.c.outlet == outlet) & (table.c.number == number)


def _shortened(text: str) -> str:
    made = storable(text)
    return made if len(made) <= _MOST_DETAIL else made[: _MOST_DETAIL - 1] + "…"


def _stored(row: Row[Any]) -> Stored:
    return Stored(**{**row._asdict(), "parts": parts_of(row.parts)})

"""The audit log: appended to in the transaction of the change that it tells of, never changed."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, or_, select

from pulse.access.chain import Entry, linked
from pulse.access.roles import Actor
from pulse.chain import Head
from pulse.stores.relational import heads
from pulse.stores.relational.tables import audit as table
from pulse.stores.relational.values import canonical, insert, storable

DONE, REFUSED, FAILED = "done", "refused", "failed"

_HEAD = "audit_head"
"""The last entry's number and digest, kept beside the log: a log cut off at its end does not fit it."""

_ORDER_LOCK = 0x50554C5347
"""PostgreSQL advisory lock under which one transaction after the other appends."""

_SECRET = re.compile(r"password|secret|token$|hash|digest|^code$|cookie", re.IGNORECASE)
_MOST_CHARACTERS = 300
_PAGE = 1000


class Filter(NamedTuple):
    """Which entries are asked for; None asks for all. `communities` are those that the reader may see."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    outcome: str | None = None
    from_us: int | None = None
    to_us: int | None = None
    communities: frozenset[str] | None = None


def append(
    connection: Connection,
    actor: Actor,
    action: str,
    subject: str,
    now_us: int,
    *,
    outcome: str = DONE,
    community: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Entry:
    """Write an entry behind the last one.

    `action` is a slug such as `user.create`, `subject` what it was done to, such as `user:alice`. Members
    of `before` and `after` whose names tell of secrets are blanked out, here and not by the caller.
    """
    heads.ordered(connection, _ORDER_LOCK)
    known = head(connection)
    # An entry that somebody slipped in behind the head must not stop the product; verifying shows it.
    last = max(known.number, connection.scalar(select(func.max(table.c.number))) or 0)
    entry = linked(
        Head(last, known.digest),
        at_us=now_us,
        actor=_short(actor.name),
        origin=_short(actor.origin),
        action=action,
        outcome=outcome,
        subject=_short(subject),
        community=community,
        before=_said(before),
        after=_said(after),
    )
    connection.execute(insert(connection, table), entry._asdict())
    heads.write(connection, _HEAD, Head(entry.number, entry.digest))
    return entry


def head(connection: Connection) -> Head:
    """The last entry as it was noted beside the log."""
    return heads.read(connection, _HEAD)


def walk(connection: Connection) -> Iterator[Entry]:
    """The whole log in order of number."""
    last = -1
    while True:
        rows = connection.execute(
            select(table).where(table.c.number > last).order_by(table.c.number).limit(_PAGE)
        ).all()
        for row in rows:
            yield Entry(*row)
        if len(rows) < _PAGE:
            return
        last = rows[-1].number


def listing(
    connection: Connection, wanted: Filter, *, before_number: int | None = None, limit: int = 100
) -> list[Entry]:
    """The newest entries that match, newest first; those numbered below `before_number`."""
    conditions = []
    for name in ("action", "subject", "outcome"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(table.c[name] == value)
    if wanted.actor is not None:
        # `user:alice` also finds what her tokens did.
        owner = wanted.actor.removeprefix("user:")
        conditions.append(
            or_(
                table.c.actor == wanted.actor,
                and_(
                    table.c.actor.startswith("token:", autoescape=True),
                    table.c.actor.endswith(f" {owner}", autoescape=True),
                ),
            )
        )
    if wanted.from_us is not None:
        conditions.append(table.c.at_us >= wanted.from_us)
    if wanted.to_us is not None:
        conditions.append(table.c.at_us < wanted.to_us)
    if wanted.communities is not None:
        conditions.append(table.c.community.in_(sorted(wanted.communities)))
    if before_number is not None:
        conditions.append(table.c.number < before_number)
    query = select(table).where(*conditions).order_by(table.c.number.desc()).limit(limit)
    return [Entry(*row) for row in connection.execute(query)]


def _said(members: Mapping[str, Any] | None) -> str | None:
    return None if members is None else canonical(_shown(members))


def _shown(members: Mapping[str, Any]) -> dict[str, Any]:
    """Members without their secrets, as JSON that any database takes."""
    shown: dict[str, Any] = {}
    for name, value in members.items():
        if _SECRET.search(name):
            shown[name] = None if value is None else "[redacted]"
        elif isinstance(value, Mapping):
            shown[name] = _shown(value)
        elif isinstance(value, frozenset | set):
            shown[name] = sorted(value)
        elif isinstance(value, str):
            shown[name] = storable(value)
        else:
            shown[name] = value
    return json.loads(json.dumps(shown, ensure_ascii=False))  # type: ignore[no-any-return]


def _short(words: str) -> str:
    words = storable(words)
    return words if len(words) <= _MOST_CHARACTERS else words[: _MOST_CHARACTERS - 1] + "…"

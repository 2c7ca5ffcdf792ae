"""Values as they were published: append-only, each with digests of what it said and was worked out from.

They are one chain by hash over all names, in the order of publication (`pulse.chain`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from pulse.chain import FIRST, Head, Link, Wrong, sealed
from pulse.clock import MINUTE_US, to_iso
from pulse.errors import BadInput, Conflict
from pulse.stores.relational import heads
from pulse.stores.relational.tables import published as table
from pulse.stores.relational.values import canonical

NOT_RECORDED = "none"
"""The only member of inputs that were not recorded: says why, in a slug."""

_HEAD = "published_head"
"""The last value's sequence and link, kept beside the table: a chain cut off at its end does not fit it."""

_ORDER_LOCK = 0x50554C5348
"""PostgreSQL advisory lock under which one transaction after the other appends."""

_PAGE = 1000


class PublishedValue(NamedTuple):
    """One value of the indicator `name` at `at_us`, as known at `known_us`.

    `figures` is the whole answer (JSON members), `inputs` the digests of what it was worked out from
    (`pulse.indicators.inputs`). `digest` and `inputs_digest` are the SHA-256, hexadecimal, of these as
    canonical JSON in UTF-8; they, `sequence` (from 1, without gaps) and `link` are worked out by `append`.
    """

    name: str
    at_us: int
    known_us: int
    numerator: int
    denominator: int
    figures: Mapping[str, Any]
    digest: str = ""
    inputs: Mapping[str, Any] = {NOT_RECORDED: "entered"}
    inputs_digest: str = ""
    sequence: int = 0
    link: str = ""


class Stored(NamedTuple):
    """A row as it lies in the table; `figures` and `inputs` are its text."""

    name: str
    at_us: int
    known_us: int
    numerator: int
    denominator: int
    figures: str
    digest: str
    sequence: int
    inputs: str
    inputs_digest: str
    previous: str
    link: str


def digest(members: Mapping[str, Any]) -> str:
    """SHA-256, hexadecimal, of the canonical bytes of figures or inputs."""
    return _sha256(canonical(dict(members)))


def seal(row: Stored) -> str:
    """The link of a row: over everything that it says, its texts by their digests, and the link before it."""
    return sealed(
        (
            row.sequence,
            row.name,
            row.at_us,
            row.known_us,
            row.numerator,
            row.denominator,
            row.digest,
            row.inputs_digest,
            row.previous,
        )
    )


def links(rows: Iterable[Stored]) -> Iterator[Link]:
    """Rows as links of their chain."""
    for row in rows:
        yield Link(row.sequence, row.previous, row.link, _wrong(row))


def append(connection: Connection, value: PublishedValue) -> None:
    """Store a value for good. Raises `Conflict` when one of that name and time is there already."""
    append_many(connection, [value])


def append_many(connection: Connection, values: Iterable[PublishedValue]) -> None:
    """Store values for good, all or none, in their order. Raises `Conflict` when one is there already."""
    # The order is taken before the end is looked up: whoever waits here then sees what the other added.
    heads.ordered(connection, _ORDER_LOCK)
    known = head(connection)
    # A value that somebody slipped in behind the head must not stop the product; verifying shows it.
    number = max(known.number, connection.scalar(select(func.max(table.c.sequence))) or 0)
    rows, link = list[Stored](), known.digest
    for value in values:
        number += 1
        rows.append(_row(value, number, link))
        link = rows[-1].link
    if not rows:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(table), [row._asdict() for row in rows])
    except IntegrityError as error:
        raise Conflict(
            f"{rows[0].name}: a value of that time is published already "
            f"(first of these: {to_iso(rows[0].at_us)}); what was published stays as it is"
        ) from error
    heads.write(connection, _HEAD, Head(number, link))


def head(connection: Connection) -> Head:
    """The last value's sequence and link as they were noted beside the table."""
    return heads.read(connection, _HEAD)


def walk(connection: Connection, from_us: int | None = None, to_us: int | None = None) -> Iterator[Stored]:
    """Every row in order of sequence, or those with `from_us <= at_us < to_us`."""
    conditions = []
    if from_us is not None:
        conditions.append(table.c.at_us >= from_us)
    if to_us is not None:
        conditions.append(table.c.at_us < to_us)
    last: int | None = None
    while True:
        behind = [] if last is None else [table.c.sequence > last]
        rows = connection.execute(
            select(table).where(*conditions, *behind).order_by(table.c.sequence).limit(_PAGE)
        ).all()
        for row in rows:
            yield Stored(*row)
        if len(rows) < _PAGE:
            return
        last = rows[-1].sequence


def newest(connection: Connection, limit: int) -> int | None:
    """The time of the `limit`th value from the end of the chain, the first one's if there are fewer."""
    last = select(table.c.at_us).order_by(table.c.sequence.desc()).limit(limit).subquery()
    found: int | None = connection.scalar(select(func.min(last.c.at_us)))
    return found


def link_of(connection: Connection, sequence: int) -> str | None:
    """The link of the row of that sequence, of number 0 what stands before the first; None without one."""
    if sequence == 0:
        return FIRST
    return connection.scalar(select(table.c.link).where(table.c.sequence == sequence))


def following(connection: Connection, link: str) -> int | None:
    """The sequence of a row that says it follows `link`, None if none does."""
    found: int | None = connection.scalar(select(func.min(table.c.sequence)).where(table.c.previous == link))
    return found


def count(connection: Connection) -> int:
    """How many values there are."""
    return connection.scalar(select(func.count()).select_from(table)) or 0


def series(
    connection: Connection, name: str, from_us: int, to_us: int, *, step_us: int | None = None
) -> list[PublishedValue]:
    """The values of `name` with `from_us <= at_us < to_us`, in order of time.

    With `step_us`, only the first one of every step; steps are counted from 1970.
    """
    within = and_(table.c.name == name, table.c.at_us >= from_us, table.c.at_us < to_us)
    if step_us is not None:
        steps = (
            select(func.min(table.c.at_us)).where(within).group_by(table.c.at_us - table.c.at_us % step_us)
        )
        within = and_(table.c.name == name, table.c.at_us.in_(steps))
    rows = connection.execute(select(table).where(within).order_by(table.c.at_us))
    return [_value(row) for row in rows]


def latest(connection: Connection, name: str) -> PublishedValue | None:
    """The value of `name` with the greatest time, None when there is none."""
    row = connection.execute(
        select(table).where(table.c.name == name).order_by(table.c.at_us.desc()).limit(1)
    ).one_or_none()
    return None if row is None else _value(row)


def newest_at(connection: Connection, name: str) -> int | None:
    """The greatest time of a value of `name`, None when there is none."""
    found: int | None = connection.scalar(select(func.max(table.c.at_us)).where(table.c.name == name))
    return found


def last_minute(connection: Connection, name: str) -> int | None:
    """The last whole minute for which a value of `name` is published, None when there is none."""
    return connection.scalar(
        select(table.c.at_us)
        .where(table.c.name == name, table.c.at_us % MINUTE_US == 0)
        .order_by(table.c.at_us.desc())
        .limit(1)
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _wrong(row: Stored) -> Wrong | None:
    """What does not hold of a row taken alone."""
    if seal(row) != row.link:
        return Wrong("was changed: its link does not fit what the row says", "已被更改：链接值与该行内容不符")
    if _sha256(row.figures) != row.digest:
        return Wrong("its figures were changed: they do not fit their digest", "数值已被更改：与其摘要不符")
    if _sha256(row.inputs) != row.inputs_digest:
        return Wrong("its inputs were changed: they do not fit their digest", "输入已被更改：与其摘要不符")
    return None


def _row(value: PublishedValue, sequence: int, previous: str) -> Stored:
    figures, inputs = canonical(dict(value.figures)), canonical(dict(value.inputs))
    for name, given, content in (
        ("digest", value.digest, figures),
        ("inputs_digest", value.inputs_digest, inputs),
    ):
        if given not in {"", _sha256(content)}:
            raise BadInput(f"{given} is not the digest of what it stands for", where=f"{value.name} {name}")
    row = Stored(
        *value[:5],
        figures,
        _sha256(figures),
        sequence,
        inputs,
        _sha256(inputs),
        previous,
        "",
    )
    return row._replace(link=seal(row))


def _value(row: Row[Any]) -> PublishedValue:
    return PublishedValue(
        row.name,
        row.at_us,
        row.known_us,
        row.numerator,
        row.denominator,
        json.loads(row.figures),
        row.digest,
        json.loads(row.inputs),
        row.inputs_digest,
        row.sequence,
        row.link,
    )

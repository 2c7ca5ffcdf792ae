"""Published values chained by hash, with what they were worked out from; only ever appended to."""

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_INPUTS = '{"none":"before_0004"}'
"""Of values published before this revision nobody wrote down what they were worked out from."""
_ROWS = 1000


def upgrade() -> None:
    """From values that each have a digest to one chain of them, in the order of their times."""
    with op.batch_alter_table("published") as batch:
        batch.add_column(
            sa.Column(
                "sequence", sa.BigInteger(), nullable=True, comment="1, 2, 3 … without gaps, over all names"
            )
        )
        for name, comment in (
            ("inputs", "canonical JSON object: what it was worked out from"),
            ("inputs_digest", "SHA-256 of inputs in UTF-8, hexadecimal"),
            ("previous", "link of the value before it in sequence"),
            ("link", "SHA-256 of this value with the link before it"),
        ):
            batch.add_column(sa.Column(name, sa.Text(), nullable=True, comment=comment))
    _chain()
    with op.batch_alter_table("published") as batch:
        batch.alter_column("sequence", existing_type=sa.BigInteger(), nullable=False)
        for name in ("inputs", "inputs_digest", "previous", "link"):
            batch.alter_column(name, existing_type=sa.Text(), nullable=False)
        batch.create_unique_constraint("uq_published_sequence", ["sequence"])
    _refuse_changes()


def _chain() -> None:
    """Take the values that are there into the chain, as they stand."""
    connection = op.get_bind()
    table = sa.table(
        "published",
        *(
            sa.column(name)
            for name in ("name", "at_us", "known_us", "numerator", "denominator", "figures", "digest")
        ),
        *(sa.column(name) for name in ("sequence", "inputs", "inputs_digest", "previous", "link")),
    )
    mine = sa.and_(table.c.name == sa.bindparam("of"), table.c.at_us == sa.bindparam("at"))
    chained = (
        sa.update(table)
        .where(mine)
        .values({name: sa.bindparam(f"new_{name}") for name in ("sequence", "previous", "link")})
        .values(inputs=_INPUTS, inputs_digest=_sha256(_INPUTS))
    )
    number, link, last = 0, "0" * 64, (None, None)
    while True:
        query = sa.select(*list(table.c)[:7]).order_by(table.c.at_us, table.c.name).limit(_ROWS)
        if number:
            query = query.where(sa.tuple_(table.c.at_us, table.c.name) > last)
        rows = connection.execute(query).all()
        changes = []
        for row in rows:
            number += 1
            members = (number, *row[:5], row.digest, _sha256(_INPUTS), link)
            change = {"of": row.name, "at": row.at_us, "new_sequence": number, "new_previous": link}
            link = _sealed(members)
            changes.append({**change, "new_link": link})
        if changes:
            connection.execute(chained, changes)
            last = (rows[-1].at_us, rows[-1].name)
        if len(rows) < _ROWS:
            break
    if number:
        connection.execute(
            sa.text("INSERT INTO meta (key, value) VALUES ('published_head', :head)"),
            {"head": f"{number} {link}"},
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sealed(members: Sequence[object]) -> str:
    """As `pulse.chain.sealed` made it when this revision was released."""
    made = hashlib.sha256()
    for value in members:
        data = b"+" + str(value).encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def _refuse_changes() -> None:
    """The product only ever appends published values; the database holds it to that."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER published_no_{change.lower()} BEFORE {change} ON published "
                "BEGIN SELECT RAISE(ABORT, 'published values are only appended to'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION published_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'published values are only appended to'; END $$"
    )
    op.execute(
        "CREATE TRIGGER published_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON published "
        "FOR EACH STATEMENT EXECUTE FUNCTION published_append_only()"
    )

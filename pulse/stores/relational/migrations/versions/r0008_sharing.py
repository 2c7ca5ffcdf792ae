"""Data sharing: the catalogue of kinds of data, and the receipts of what departments acknowledged."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0008"
down_revision = "0007"


def _number() -> TypeEngine[int]:
    """As the numbers of other tables: INTEGER in SQLite, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """From one indicator to the ground of the second one."""
    op.create_table(
        "data_kinds",
        sa.Column("id", _ident(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False, comment="since when it is known"),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "says", sa.Text(), nullable=True, comment="canonical JSON object; NULL: it left the catalogue"
        ),
        sa.Column(
            "said_by", sa.Text(), nullable=False, comment="user:…, token:… or cli:…, as in the audit log"
        ),
        sa.PrimaryKeyConstraint("id", "recorded_us", name="pk_data_kinds"),
    )
    op.create_table(
        "receipts",
        sa.Column("number", _number(), autoincrement=False, nullable=False, comment="1, 2, 3 … without gaps"),
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column("delivery", _ident(), nullable=False),
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="SHA-256 of the content as it was sent, hexadecimal"
        ),
        sa.Column("parts", sa.Text(), nullable=False, comment="JSON list: kinds with counts and times"),
        sa.Column("answer", sa.Text(), nullable=False, comment="JSON object: what the far side said"),
        sa.Column("sent_us", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False, comment="since when it is known"),
        sa.Column("previous", sa.Text(), nullable=False, comment="link of the receipt before"),
        sa.Column(
            "link", sa.Text(), nullable=False, comment="SHA-256 of this receipt with the link before it"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_receipts"),
        sa.UniqueConstraint("outlet", "delivery", name="uq_receipts_outlet_delivery"),
    )
    op.create_table(
        "receipt_parts",
        sa.Column("receipt", sa.BigInteger(), nullable=False),
        sa.Column("data_kind", _ident(), nullable=False),
        sa.Column("community", _ident(), nullable=False),
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column("acknowledged_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=True, comment="least time of a record that is known"),
        sa.Column("last_us", sa.BigInteger(), nullable=True),
        sa.Column("quiet_from_us", sa.BigInteger(), nullable=True, comment="nothing else happened from then"),
        sa.Column("quiet_until_us", sa.BigInteger(), nullable=True, comment="until then"),
        sa.ForeignKeyConstraint(["receipt"], ["receipts.number"], name="fk_receipt_parts_receipt"),
        sa.PrimaryKeyConstraint("receipt", "data_kind", "community", name="pk_receipt_parts"),
    )
    op.create_index("ix_receipt_parts_acknowledged_us", "receipt_parts", ["acknowledged_us"])
    for last in ("acknowledged_us", "last_us"):
        columns = ["data_kind", "community", last]
        op.create_index(f"ix_receipt_parts_{'_'.join(columns)}", "receipt_parts", columns)
    op.execute("INSERT INTO counters (name, value) VALUES ('catalogue', 0)")
    _refuse_changes("data_kinds", "the catalogue")
    _refuse_changes("receipts", "receipts")
    _refuse_changes("receipt_parts", "receipts")


def _refuse_changes(table: str, what: str) -> None:
    """The product only ever appends; the database holds it to that."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{what}: only appended to'); END"
            )
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{what}: only appended to'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )

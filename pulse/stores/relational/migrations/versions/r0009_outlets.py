"""Outlets: what is delivered to departments, how far that has come, and everybody who had access."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0009"
down_revision = "0008"


def _number() -> TypeEngine[int]:
    """As the numbers of other tables: INTEGER in SQLite, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """From receipts to what they are for."""
    op.create_table(
        "outlets",
        sa.Column("id", _ident(), nullable=False),
        sa.Column(
            "recorded_us", sa.BigInteger(), nullable=False, comment="from when on it holds and is known"
        ),
        sa.Column("says", sa.Text(), nullable=True, comment="canonical JSON object; NULL: it was removed"),
        sa.Column(
            "said_by", sa.Text(), nullable=False, comment="user:…, token:… or cli:…, as in the audit log"
        ),
        sa.PrimaryKeyConstraint("id", "recorded_us", name="pk_outlets"),
    )
    op.create_table(
        "outlet_positions",
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column(
            "position", sa.BigInteger(), nullable=False, comment="order of the last record that was looked at"
        ),
        sa.Column(
            "since_us", sa.BigInteger(), nullable=False, comment="no record behind it was received before"
        ),
        sa.Column("quiet_us", sa.BigInteger(), nullable=False, comment="up to when quiet was stated"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="of the last delivery"),
        sa.Column("built_us", sa.BigInteger(), nullable=True, comment="when the last delivery was made"),
        sa.Column(
            "most_records",
            sa.BigInteger(),
            nullable=True,
            comment="fewer than the outlet says: its far side took no more",
        ),
        sa.Column(
            "withheld", sa.Text(), nullable=False, comment="JSON object: counts by data kind and reason"
        ),
        sa.Column(
            "stuck", sa.Text(), nullable=True, comment="why no delivery is made; NULL: nothing is in the way"
        ),
        sa.Column("holder", sa.Text(), nullable=True, comment="the process that sends now"),
        sa.Column("held_until_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("outlet", name="pk_outlet_positions"),
    )
    op.create_table(
        "deliveries",
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="1, 2, 3 … of the outlet"),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False, comment="json or csv"),
        sa.Column(
            "content",
            sa.LargeBinary(),
            nullable=True,
            comment="as it is sent; NULL: kept long enough after its receipt",
        ),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="of the content, bytes"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the content, hexadecimal"),
        sa.Column("parts", sa.Text(), nullable=False, comment="JSON list: kinds with counts and times"),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="waiting, acknowledged or split"),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_us", sa.BigInteger(), nullable=False, comment="not to be sent before"),
        sa.Column("sent_us", sa.BigInteger(), nullable=True, comment="when it was sent last"),
        sa.Column("acknowledged_us", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="why the last attempt failed"),
        sa.PrimaryKeyConstraint("outlet", "number", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_state_outlet_number", "deliveries", ["state", "outlet", "number"])
    op.create_index("ix_deliveries_made_us", "deliveries", ["made_us"])
    op.create_index("ix_deliveries_acknowledged_us", "deliveries", ["acknowledged_us"])
    op.create_table(
        "delivery_days",
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column("delivery", sa.BigInteger(), nullable=False, comment="its number"),
        sa.Column("data_kind", _ident(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False, comment="YYYY-MM-DD in the installation's zone"),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column(
            "digest",
            sa.Text(),
            nullable=False,
            comment="sum of SHA-256 of record ids modulo 2^256, hexadecimal",
        ),
        sa.PrimaryKeyConstraint("outlet", "delivery", "data_kind", "day", name="pk_delivery_days"),
    )
    op.create_index("ix_delivery_days_outlet_data_kind_day", "delivery_days", ["outlet", "data_kind", "day"])
    op.create_table(
        "delivery_attempts",
        sa.Column("id", _number(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=True, comment="its id; NULL: of none"),
        sa.Column("action", sa.Text(), nullable=False, comment="send, test, pull, commit or split"),
        sa.Column("actor", sa.Text(), nullable=False, comment="system:scheduler, or as in the audit log"),
        sa.Column("address", sa.Text(), nullable=False, comment="of the far side"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="done, failed or refused"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_attempts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_attempts_outlet_id", "delivery_attempts", ["outlet", "id"])
    op.create_index("ix_delivery_attempts_at_us", "delivery_attempts", ["at_us"])
    op.execute("INSERT INTO counters (name, value) VALUES ('outlets', 0)")
    _refuse_changes("outlets", "outlets")
    _refuse_changes("delivery_attempts", "the access log")


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

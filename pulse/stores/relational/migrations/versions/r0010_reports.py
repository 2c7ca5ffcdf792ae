"""Reconciliation: what departments reported that they hold, beside what we hold receipts of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0010"
down_revision = "0009"


def _number() -> TypeEngine[int]:
    """As the numbers of other tables: INTEGER in SQLite, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """From deliveries to what the far side says of them."""
    op.create_table(
        "sharing_reports",
        sa.Column("number", _number(), nullable=False),
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column("day", _ident(), nullable=False, comment="2026-11-23, in the zone of PULSE_TIMEZONE"),
        sa.Column(
            "through",
            sa.BigInteger(),
            nullable=True,
            comment="number of the last delivery that it has; NULL: it has none, or does not say",
        ),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False, comment="user:… or token:…, as in the audit log"),
        sa.Column(
            "theirs", sa.Text(), nullable=False, comment="JSON object: count and digest by kind of data"
        ),
        sa.Column("ours", sa.Text(), nullable=False, comment="likewise, as it was then"),
        sa.PrimaryKeyConstraint("number", name="pk_sharing_reports"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sharing_reports_outlet_day_number", "sharing_reports", ["outlet", "day", "number"])
    op.create_table(
        "repeats",
        sa.Column("outlet", _ident(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="of the delivery that was made again"),
        sa.Column("again_of", sa.BigInteger(), nullable=False, comment="number of one that it repeats"),
        sa.PrimaryKeyConstraint("outlet", "number", "again_of", name="pk_repeats"),
    )
    op.create_index("ix_repeats_outlet_again_of", "repeats", ["outlet", "again_of"])

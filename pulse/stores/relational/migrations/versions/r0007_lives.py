"""Steps in the lives of devices, commissioned, retired and replaced: recorded by one, approved by another."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0007"
down_revision = "0006"


def _number() -> TypeEngine[int]:
    """SQLite counts by itself only in a column declared INTEGER, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """From life cycles that are imported to steps that people record, of which some wait for approval."""
    op.create_table(
        "life_changes",
        sa.Column("id", _number(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="commission, retire or replace"),
        sa.Column("device", _ident(), nullable=False),
        sa.Column("successor", _ident(), nullable=True, comment="what takes its place"),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column(
            "known_us", sa.BigInteger(), nullable=True, comment="since when it counts; NULL: not approved"
        ),
        sa.Column("approved_us", sa.BigInteger(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("refused_us", sa.BigInteger(), nullable=True),
        sa.Column("refused_by", sa.Text(), nullable=True),
        sa.Column("refuse_reason", sa.Text(), nullable=True),
        sa.Column("cancelled_us", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_by", sa.Text(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_life_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_life_changes_device", "life_changes", ["device"])
    op.create_index("ix_life_changes_successor", "life_changes", ["successor"])

"""Correlated silence of communities, what people decide of it, and a counter of changed coverage."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0003"
down_revision = "0002"


def _number() -> TypeEngine[int]:
    """SQLite counts by itself only in a column declared INTEGER, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """From coverage that the collector measures alone to coverage that people may complete."""
    op.create_table(
        "incidents",
        sa.Column("id", _number(), nullable=False),
        sa.Column("community", _ident(), nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.BigInteger(), nullable=False, comment="the most that were silent together"),
        sa.Column("silent", sa.BigInteger(), nullable=False, comment="those that are silent still"),
        sa.Column("of", sa.BigInteger(), nullable=False, comment="in service and not in maintenance"),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_us", sa.BigInteger(), nullable=True),
        sa.Column(
            "confirmed_by", sa.Text(), nullable=True, comment="user:…, token:… or cli:…, as in the audit log"
        ),
        sa.Column("confirm_reason", sa.Text(), nullable=True),
        sa.Column("approved_us", sa.BigInteger(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("dismissed_us", sa.BigInteger(), nullable=True),
        sa.Column("dismissed_by", sa.Text(), nullable=True),
        sa.Column("dismiss_reason", sa.Text(), nullable=True),
        sa.Column("blind_id", sa.BigInteger(), nullable=True, comment="what approval recorded last"),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.ForeignKeyConstraint(["blind_id"], ["blinds.id"], name="fk_incidents_blind_id"),
        sa.UniqueConstraint("community", "opened_us", name="uq_incidents_community_opened_us"),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO counters (name, value) VALUES ('coverage', 0)")

"""Maintenance that recurs, is about a building or a tag and waits for approval; what devices were before."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0005"
down_revision = "0004"


def _number() -> TypeEngine[int]:
    """SQLite counts by itself only in a column declared INTEGER, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


_SINCE = "when this was said; NULL: before that was written down"
_BY = "user:…, token:… or cli:…, as in the audit log"
_BEGINS = "local minute of the day at which a window of a weekday begins"


def upgrade() -> None:
    """From windows that count at once to entries of which some wait for a second person."""
    for column in (
        sa.Column("building", sa.Text(), nullable=True),
        sa.Column("tag", sa.Text(), nullable=True),
        sa.Column(
            "weekdays",
            sa.Text(),
            nullable=True,
            comment="JSON list of 1 (Monday) to 7; NULL: one window, start to end",
        ),
        sa.Column("begins_min", sa.Integer(), nullable=True, comment=_BEGINS),
        sa.Column(
            "ends_min",
            sa.Integer(),
            nullable=True,
            comment="and ends; on the next day unless later than begins_min",
        ),
        sa.Column("zone", sa.Text(), nullable=True, comment="of these minutes, as in the tz database"),
        sa.Column(
            "known_us", sa.BigInteger(), nullable=True, comment="since when it counts; NULL: not approved"
        ),
        sa.Column("approved_us", sa.BigInteger(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("refused_us", sa.BigInteger(), nullable=True),
        sa.Column("refused_by", sa.Text(), nullable=True),
        sa.Column("refuse_reason", sa.Text(), nullable=True),
        sa.Column("cancelled_by", sa.Text(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
    ):
        op.add_column("maintenance", column)
    op.execute("UPDATE maintenance SET known_us = recorded_us")

    op.add_column("devices", sa.Column("since_us", sa.BigInteger(), nullable=True, comment=_SINCE))
    op.add_column("devices", sa.Column("said_by", sa.Text(), nullable=True, comment=_BY))
    op.create_table(
        "past_devices",
        sa.Column("number", _number(), nullable=False),
        sa.Column("id", _ident(), nullable=False, comment="of the device"),
        sa.Column("community", _ident(), nullable=False),
        sa.Column("kind", _ident(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("building", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False, comment="JSON list of text"),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("timeout_us", sa.BigInteger(), nullable=True),
        sa.Column("max_lateness_us", sa.BigInteger(), nullable=False),
        sa.Column("clock_untrusted", sa.Boolean(), nullable=False),
        sa.Column("commissioned_us", sa.BigInteger(), nullable=True),
        sa.Column("retired_us", sa.BigInteger(), nullable=True),
        sa.Column("commissioned_recorded_us", sa.BigInteger(), nullable=True),
        sa.Column("retired_recorded_us", sa.BigInteger(), nullable=True),
        sa.Column("since_us", sa.BigInteger(), nullable=True, comment=_SINCE),
        sa.Column("said_by", sa.Text(), nullable=True, comment=_BY),
        sa.Column("until_us", sa.BigInteger(), nullable=False, comment="when something else was said of it"),
        sa.PrimaryKeyConstraint("number", name="pk_past_devices"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_past_devices_id", "past_devices", ["id"])

"""Registry, policies, intervals, coverage, maintenance, published values, events, quarantine, jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None


def _number() -> TypeEngine[int]:
    """SQLite counts by itself only in a column declared INTEGER, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "blinds",
        sa.Column("id", _number(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=True),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.Column("device", _ident(), nullable=True),
        sa.Column("kind", _ident(), nullable=True),
        sa.Column("community", _ident(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_blinds"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "communities",
        sa.Column("id", _ident(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_communities"),
    )
    op.create_table(
        "counters",
        sa.Column("name", _ident(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "deletions",
        sa.Column("id", _number(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("before_us", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deletions"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "discovered",
        sa.Column("device", _ident(), nullable=False),
        sa.Column("community", _ident(), nullable=False),
        sa.Column("kind", _ident(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "community", "kind", name="pk_discovered"),
    )
    op.create_table(
        "events",
        sa.Column("id", _number(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="canonical JSON object"),
        sa.Column(
            "key", sa.Text(), nullable=True, comment="what makes a repetition of the same event recognisable"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("topic", "key", name="uq_events_topic_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_recorded_us", "events", ["recorded_us"])
    op.create_table(
        "job_runs",
        sa.Column("id", _number(), nullable=False),
        sa.Column("name", _ident(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("finished_us", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_runs_name_due_us", "job_runs", ["name", "due_us"])
    op.create_table(
        "kinds",
        sa.Column("id", _ident(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("interval_us", sa.BigInteger(), nullable=True),
        sa.Column("timeout_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_kinds"),
    )
    op.create_table(
        "maintenance",
        sa.Column("id", _number(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=True),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_us", sa.BigInteger(), nullable=True),
        sa.Column("device", _ident(), nullable=True),
        sa.Column("kind", _ident(), nullable=True),
        sa.Column("community", _ident(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_maintenance"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "policies",
        sa.Column("scope", sa.Text(), nullable=False, comment="device, community or kind"),
        sa.Column("subject", _ident(), nullable=False, comment="the id of that device, community or kind"),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("timeout_us", sa.BigInteger(), nullable=True),
        sa.Column("max_lateness_us", sa.BigInteger(), nullable=True),
        sa.Column("clock_untrusted", sa.Boolean(), nullable=True),
        sa.Column(
            "community", _ident(), nullable=True, comment="of a device: where it belonged from then on"
        ),
        sa.Column("kind", _ident(), nullable=True, comment="of a device: what it was from then on"),
        sa.PrimaryKeyConstraint("scope", "subject", "since_us", name="pk_policies"),
    )
    op.create_table(
        "published",
        sa.Column("name", _ident(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("known_us", sa.BigInteger(), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False, comment="canonical JSON object"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of figures in UTF-8, hexadecimal"),
        sa.PrimaryKeyConstraint("name", "at_us", name="pk_published"),
    )
    op.create_table(
        "quarantine",
        sa.Column("number", _number(), autoincrement=False, nullable=False),
        sa.Column("observed_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_quarantine"),
    )
    op.create_index("ix_quarantine_observed_us", "quarantine", ["observed_us"])
    op.create_index("ix_quarantine_reason_number", "quarantine", ["reason", "number"])
    op.create_table(
        "runs",
        sa.Column("device", _ident(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=True),
        sa.Column("evidence", sa.SmallInteger(), nullable=False),
        sa.Column("superseded_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("device", "start_us", "recorded_us", "since_us", name="pk_runs"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "watermark",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("through_us", sa.BigInteger(), nullable=False),
        sa.Column("listening", sa.Boolean(), nullable=False),
        sa.Column("written_us", sa.BigInteger(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watermark"),
    )
    op.create_table(
        "devices",
        sa.Column("id", _ident(), nullable=False),
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
        sa.ForeignKeyConstraint(["community"], ["communities.id"], name="fk_devices_community"),
        sa.ForeignKeyConstraint(["kind"], ["kinds.id"], name="fk_devices_kind"),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
    )
    op.create_index("ix_devices_community_kind", "devices", ["community", "kind"])
    op.create_index("ix_devices_kind", "devices", ["kind"])
    op.create_table(
        "planned",
        sa.Column("community", _ident(), nullable=False),
        sa.Column("kind", _ident(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["community"], ["communities.id"], name="fk_planned_community"),
        sa.ForeignKeyConstraint(["kind"], ["kinds.id"], name="fk_planned_kind"),
        sa.PrimaryKeyConstraint("community", "kind", name="pk_planned"),
    )

    op.execute("INSERT INTO counters (name, value) VALUES ('registry', 0)")

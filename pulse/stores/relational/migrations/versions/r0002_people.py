"""People, their sessions and tokens, the passwords of devices, and the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"


def _number() -> TypeEngine[int]:
    """SQLite counts by itself only in a column declared INTEGER, which holds 64 bits there."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ident() -> TypeEngine[str]:
    """Sorts by code point whatever the locale of the PostgreSQL server."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """From telemetry alone to telemetry with people."""
    op.create_table(
        "users",
        sa.Column("id", _number(), nullable=False),
        sa.Column("name", _ident(), nullable=False, comment="lower case, unique"),
        sa.Column("display", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "communities",
            sa.Text(),
            nullable=True,
            comment="JSON list of ids; NULL means all, those to come too",
        ),
        sa.Column("outlets", sa.Text(), nullable=False, comment="JSON list of ids"),
        sa.Column("password_hash", sa.Text(), nullable=True, comment="NULL until one is chosen"),
        sa.Column("password_us", sa.BigInteger(), nullable=True, comment="when it was chosen"),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("disabled_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        sa.Column("id", _number(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the secret in the cookie"),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id"),
        sa.UniqueConstraint("digest", name="uq_sessions_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "tokens",
        sa.Column("id", _number(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the token"),
        sa.Column("hint", sa.Text(), nullable=False, comment="its first characters, to recognise it by"),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False, comment="JSON list of permissions"),
        sa.Column(
            "communities", sa.Text(), nullable=True, comment="JSON list of ids; NULL means all of its owner"
        ),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=True),
        sa.Column("last_address", sa.Text(), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tokens_user_id"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("id", _number(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the code"),
        sa.Column("user_id", sa.BigInteger(), nullable=True, comment="NULL for the first administrator"),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("used_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_invitations_user_id"),
        sa.UniqueConstraint("digest", name="uq_invitations_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "attempts",
        sa.Column("subject", _ident(), nullable=False, comment="user:… or address:…"),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False, comment="refused before it"),
        sa.PrimaryKeyConstraint("subject", name="pk_attempts"),
    )
    op.create_table(
        "device_credentials",
        sa.Column("device", _ident(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False, comment="$7$… as Mosquitto's password files have it"),
        sa.Column("issued_us", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="how often one was issued"),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("device", name="pk_device_credentials"),
    )
    op.create_table(
        "audit",
        sa.Column("number", _number(), autoincrement=False, nullable=False, comment="1, 2, 3 … without gaps"),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "actor", sa.Text(), nullable=False, comment="user:…, token:…, cli:…, system:… or anonymous"
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="network address, or the host's name"),
        sa.Column("action", _ident(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False, comment="done, refused or failed"),
        sa.Column(
            "subject", sa.Text(), nullable=False, comment="what it was done to, such as user:… or device:…"
        ),
        sa.Column(
            "community", _ident(), nullable=True, comment="NULL when it is about more than one or none"
        ),
        sa.Column("before", sa.Text(), nullable=True, comment="canonical JSON object"),
        sa.Column("after", sa.Text(), nullable=True, comment="canonical JSON object"),
        sa.Column("previous", sa.Text(), nullable=False, comment="digest of the entry before"),
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="SHA-256 of this entry with the digest before it"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    for column in ("at_us", "actor", "subject"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
    _refuse_changes()


def _refuse_changes() -> None:
    """The product only ever appends to the audit log; the database holds it to that."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is only appended to'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    )

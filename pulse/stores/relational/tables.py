"""Every table as the code uses it; migrations make them, and a test holds the two together."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite counts by itself only in a column declared INTEGER, which holds 64 bits there.
_Number = BigInteger().with_variant(Integer, "sqlite")

# Ids sort by code point on both, whatever the locale of the PostgreSQL server.
_Id = Text().with_variant(Text(collation="C"), "postgresql")

communities = Table(
    "communities",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
)

kinds = Table(
    "kinds",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("interval_us", BigInteger),
    Column("timeout_us", BigInteger),
)

planned = Table(
    "planned",
    metadata,
    Column("community", _Id, ForeignKey("communities.id"), primary_key=True),
    Column("kind", _Id, ForeignKey("kinds.id"), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)


def _of_a_device() -> list[Column[Any]]:
    """What is said of a device, by whom and since when: the columns of its present and of its past forms."""
    return [
        Column("name_zh", Text, nullable=False),
        Column("name_en", Text, nullable=False),
        Column("building", Text, nullable=False),
        Column("location", Text, nullable=False),
        Column("tags", Text, nullable=False, comment="JSON list of text"),
        Column("vendor", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("serial", Text, nullable=False),
        Column("timeout_us", BigInteger),
        Column("max_lateness_us", BigInteger, nullable=False),
        Column("clock_untrusted", Boolean, nullable=False),
        Column("commissioned_us", BigInteger),
        Column("retired_us", BigInteger),
        Column("commissioned_recorded_us", BigInteger),
        Column("retired_recorded_us", BigInteger),
        Column("since_us", BigInteger, comment="when this was said; NULL: before that was written down"),
        Column("said_by", Text, comment="user:…, token:… or cli:…, as in the audit log"),
    ]


devices = Table(
    "devices",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("community", _Id, ForeignKey("communities.id"), nullable=False),
    Column("kind", _Id, ForeignKey("kinds.id"), nullable=False),
    *_of_a_device(),
    Index(None, "community", "kind"),
    Index(None, "kind"),
)

past_devices = Table(
    "past_devices",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("id", _Id, nullable=False, comment="of the device"),
    Column("community", _Id, nullable=False),
    Column("kind", _Id, nullable=False),
    *_of_a_device(),
    Column("until_us", BigInteger, nullable=False, comment="when something else was said of it"),
    Index(None, "id"),
    sqlite_autoincrement=True,
)

policies = Table(
    "policies",
    metadata,
    Column("scope", Text, primary_key=True, comment="device, community, kind or default"),
    Column("subject", _Id, primary_key=True, comment="the id of that device, community or kind, or all"),
    Column("since_us", BigInteger, primary_key=True),
    Column("recorded_us", BigInteger, primary_key=True, comment="since when it is known"),
    Column("interval_us", BigInteger),
    Column("timeout_us", BigInteger),
    Column("max_lateness_us", BigInteger),
    Column("clock_untrusted", Boolean),
    Column("community", _Id, comment="of a device: where it belonged from then on"),
    Column("kind", _Id, comment="of a device: what it was from then on"),
)

discovered = Table(
    "discovered",
    metadata,
    Column("device", _Id, primary_key=True),
    Column("community", _Id, primary_key=True),
    Column("kind", _Id, primary_key=True),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("device", _Id, primary_key=True),
    Column("start_us", BigInteger, primary_key=True),
    Column("recorded_us", BigInteger, primary_key=True),
    Column("since_us", BigInteger, primary_key=True),
    Column("end_us", BigInteger),
    Column("evidence", SmallInteger, nullable=False),
    Column("superseded_us", BigInteger),
    # The rows lie in the order in which they are asked for: by device, then by start.
    sqlite_with_rowid=False,
)

blinds = Table(
    "blinds",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger),
    Column("recorded_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    Column("device", _Id),
    Column("kind", _Id),
    Column("community", _Id),
    Column("cause", Text, nullable=False),
    sqlite_autoincrement=True,
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("community", _Id, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("devices", BigInteger, nullable=False, comment="the most that were silent together"),
    Column("silent", BigInteger, nullable=False, comment="those that are silent still"),
    Column("of", BigInteger, nullable=False, comment="in service and not in maintenance"),
    Column("ended_us", BigInteger),
    Column("recorded_us", BigInteger, nullable=False),
    Column("confirmed_us", BigInteger),
    Column("confirmed_by", Text, comment="user:…, token:… or cli:…, as in the audit log"),
    Column("confirm_reason", Text),
    Column("approved_us", BigInteger),
    Column("approved_by", Text),
    Column("dismissed_us", BigInteger),
    Column("dismissed_by", Text),
    Column("dismiss_reason", Text),
    Column("blind_id", BigInteger, ForeignKey("blinds.id"), comment="what approval recorded last"),
    UniqueConstraint("community", "opened_us"),
    sqlite_autoincrement=True,
)

watermark = Table(
    "watermark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="always 1"),
    Column("through_us", BigInteger, nullable=False),
    Column("listening", Boolean, nullable=False),
    Column("written_us", BigInteger, nullable=False),
    Column("session", Text, nullable=False),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger),
    Column("recorded_us", BigInteger, nullable=False),
    Column("cancelled_us", BigInteger),
    Column("device", _Id),
    Column("kind", _Id),
    Column("community", _Id),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("building", Text),
    Column("tag", Text),
    Column("weekdays", Text, comment="JSON list of 1 (Monday) to 7; NULL: one window, start to end"),
    Column("begins_min", Integer, comment="local minute of the day at which a window of a weekday begins"),
    Column("ends_min", Integer, comment="and ends; on the next day unless later than begins_min"),
    Column("zone", Text, comment="of these minutes, as in the tz database"),
    Column("known_us", BigInteger, comment="since when it counts; NULL: not approved"),
    Column("approved_us", BigInteger),
    Column("approved_by", Text),
    Column("refused_us", BigInteger),
    Column("refused_by", Text),
    Column("refuse_reason", Text),
    Column("cancelled_by", Text),
    Column("cancel_reason", Text),
    sqlite_autoincrement=True,
)

life_changes = Table(
    "life_changes",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("what", Text, nullable=False, comment="commission, retire or replace"),
    Column("device", _Id, nullable=False),
    Column("successor", _Id, comment="what takes its place"),
    Column("at_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("known_us", BigInteger, comment="since when it counts; NULL: not approved"),
    Column("approved_us", BigInteger),
    Column("approved_by", Text),
    Column("refused_us", BigInteger),
    Column("refused_by", Text),
    Column("refuse_reason", Text),
    Column("cancelled_us", BigInteger),
    Column("cancelled_by", Text),
    Column("cancel_reason", Text),
    Index(None, "device"),
    Index(None, "successor"),
    sqlite_autoincrement=True,
)

data_kinds = Table(
    "data_kinds",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("recorded_us", BigInteger, primary_key=True, comment="since when it is known"),
    Column("since_us", BigInteger, nullable=False),
    Column("says", Text, comment="canonical JSON object; NULL: it left the catalogue"),
    Column("said_by", Text, nullable=False, comment="user:…, token:… or cli:…, as in the audit log"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False, comment="1, 2, 3 … without gaps"),
    Column("outlet", _Id, nullable=False),
    Column("delivery", _Id, nullable=False),
    Column("digest", Text, nullable=False, comment="SHA-256 of the content as it was sent, hexadecimal"),
    Column("parts", Text, nullable=False, comment="JSON list: kinds with counts and times"),
    Column("answer", Text, nullable=False, comment="JSON object: what the far side said"),
    Column("sent_us", BigInteger, nullable=False),
    Column("acknowledged_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False, comment="since when it is known"),
    Column("previous", Text, nullable=False, comment="link of the receipt before"),
    Column("link", Text, nullable=False, comment="SHA-256 of this receipt with the link before it"),
    UniqueConstraint("outlet", "delivery"),
)

receipt_parts = Table(
    "receipt_parts",
    metadata,
    Column("receipt", BigInteger, ForeignKey("receipts.number"), primary_key=True),
    Column("data_kind", _Id, primary_key=True),
    Column("community", _Id, primary_key=True),
    Column("outlet", _Id, nullable=False),
    Column("acknowledged_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_us", BigInteger, comment="least time of a record that is known"),
    Column("last_us", BigInteger),
    Column("quiet_from_us", BigInteger, comment="nothing else happened from then"),
    Column("quiet_until_us", BigInteger, comment="until then"),
    Index(None, "acknowledged_us"),
    Index(None, "data_kind", "community", "acknowledged_us"),
    Index(None, "data_kind", "community", "last_us"),
)

outlets = Table(
    "outlets",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("recorded_us", BigInteger, primary_key=True, comment="from when on it holds and is known"),
    Column("says", Text, comment="canonical JSON object; NULL: it was removed"),
    Column("said_by", Text, nullable=False, comment="user:…, token:… or cli:…, as in the audit log"),
)

outlet_positions = Table(
    "outlet_positions",
    metadata,
    Column("outlet", _Id, primary_key=True),
    Column("position", BigInteger, nullable=False, comment="order of the last record that was looked at"),
    Column("since_us", BigInteger, nullable=False, comment="no record behind it was received before"),
    Column("quiet_us", BigInteger, nullable=False, comment="up to when quiet was stated"),
    Column("number", BigInteger, nullable=False, comment="of the last delivery"),
    Column("built_us", BigInteger, comment="when the last delivery was made"),
    Column("most_records", BigInteger, comment="fewer than the outlet says: its far side took no more"),
    Column("withheld", Text, nullable=False, comment="JSON object: counts by data kind and reason"),
    Column("stuck", Text, comment="why no delivery is made; NULL: nothing is in the way"),
    Column("holder", Text, comment="the process that sends now"),
    Column("held_until_us", BigInteger),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("outlet", _Id, primary_key=True),
    Column("number", BigInteger, primary_key=True, comment="1, 2, 3 … of the outlet"),
    Column("made_us", BigInteger, nullable=False),
    Column("format", Text, nullable=False, comment="json or csv"),
    Column("content", LargeBinary, comment="as it is sent; NULL: kept long enough after its receipt"),
    Column("size", BigInteger, nullable=False, comment="of the content, bytes"),
    Column("digest", Text, nullable=False, comment="SHA-256 of the content, hexadecimal"),
    Column("parts", Text, nullable=False, comment="JSON list: kinds with counts and times"),
    Column("records", BigInteger, nullable=False),
    Column("state", Text, nullable=False, comment="waiting, acknowledged or split"),
    Column("attempts", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False, comment="not to be sent before"),
    Column("sent_us", BigInteger, comment="when it was sent last"),
    Column("acknowledged_us", BigInteger),
    Column("error", Text, comment="why the last attempt failed"),
    Index(None, "state", "outlet", "number"),
    Index(None, "made_us"),
    Index(None, "acknowledged_us"),
)

delivery_days = Table(
    "delivery_days",
    metadata,
    Column("outlet", _Id, primary_key=True),
    Column("delivery", BigInteger, primary_key=True, comment="its number"),
    Column("data_kind", _Id, primary_key=True),
    Column("day", Text, primary_key=True, comment="YYYY-MM-DD in the installation's zone"),
    Column("count", BigInteger, nullable=False),
    Column("digest", Text, nullable=False, comment="sum of SHA-256 of record ids modulo 2^256, hexadecimal"),
    Index(None, "outlet", "data_kind", "day"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("outlet", _Id, nullable=False),
    Column("delivery", Text, comment="its id; NULL: of none"),
    Column("action", Text, nullable=False, comment="send, test, pull, commit or split"),
    Column("actor", Text, nullable=False, comment="system:scheduler, or as in the audit log"),
    Column("address", Text, nullable=False, comment="of the far side"),
    Column("outcome", Text, nullable=False, comment="done, failed or refused"),
    Column("detail", Text, nullable=False),
    Index(None, "outlet", "id"),
    Index(None, "at_us"),
    sqlite_autoincrement=True,
)

published = Table(
    "published",
    metadata,
    Column("name", _Id, primary_key=True),
    Column("at_us", BigInteger, primary_key=True),
    Column("known_us", BigInteger, nullable=False),
    Column("numerator", BigInteger, nullable=False),
    Column("denominator", BigInteger, nullable=False),
    Column("figures", Text, nullable=False, comment="canonical JSON object"),
    Column("digest", Text, nullable=False, comment="SHA-256 of figures in UTF-8, hexadecimal"),
    Column("sequence", BigInteger, nullable=False, comment="1, 2, 3 … without gaps, over all names"),
    Column("inputs", Text, nullable=False, comment="canonical JSON object: what it was worked out from"),
    Column("inputs_digest", Text, nullable=False, comment="SHA-256 of inputs in UTF-8, hexadecimal"),
    Column("previous", Text, nullable=False, comment="link of the value before it in sequence"),
    Column("link", Text, nullable=False, comment="SHA-256 of this value with the link before it"),
    UniqueConstraint("sequence"),
)

events = Table(
    "events",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("body", Text, nullable=False, comment="canonical JSON object"),
    Column("key", Text, comment="what makes a repetition of the same event recognisable"),
    UniqueConstraint("topic", "key"),
    Index(None, "recorded_us"),
    sqlite_autoincrement=True,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False),
    Column("observed_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index(None, "reason", "number"),
    Index(None, "observed_us"),
)

job_runs = Table(
    "job_runs",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", _Id, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    Column("error", Text),
    Index(None, "name", "due_us"),
    sqlite_autoincrement=True,
)

deletions = Table(
    "deletions",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("what", Text, nullable=False),
    Column("before_us", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", _Id, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", _Id, nullable=False, comment="lower case, unique"),
    Column("display", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("communities", Text, comment="JSON list of ids; NULL means all, those to come too"),
    Column("outlets", Text, nullable=False, comment="JSON list of ids"),
    Column("password_hash", Text, comment="NULL until one is chosen"),
    Column("password_us", BigInteger, comment="when it was chosen"),
    Column("created_us", BigInteger, nullable=False),
    Column("disabled_us", BigInteger),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("digest", Text, nullable=False, comment="SHA-256 of the secret in the cookie"),
    Column("user_id", BigInteger, ForeignKey("users.id"), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    UniqueConstraint("digest"),
    Index(None, "user_id"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("digest", Text, nullable=False, comment="SHA-256 of the token"),
    Column("hint", Text, nullable=False, comment="its first characters, to recognise it by"),
    Column("label", Text, nullable=False),
    Column("user_id", BigInteger, ForeignKey("users.id"), nullable=False),
    Column("scopes", Text, nullable=False, comment="JSON list of permissions"),
    Column("communities", Text, comment="JSON list of ids; NULL means all of its owner"),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("last_us", BigInteger),
    Column("last_address", Text),
    Column("revoked_us", BigInteger),
    UniqueConstraint("digest"),
    Index(None, "user_id"),
    sqlite_autoincrement=True,
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("digest", Text, nullable=False, comment="SHA-256 of the code"),
    Column("user_id", BigInteger, ForeignKey("users.id"), comment="NULL for the first administrator"),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("used_us", BigInteger),
    UniqueConstraint("digest"),
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("subject", _Id, primary_key=True, comment="user:… or address:…"),
    Column("failures", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False, comment="refused before it"),
)

device_credentials = Table(
    "device_credentials",
    metadata,
    Column("device", _Id, primary_key=True),
    Column("entry", Text, nullable=False, comment="$7$… as Mosquitto's password files have it"),
    Column("issued_us", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False, comment="how often one was issued"),
    Column("revoked_us", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False, comment="1, 2, 3 … without gaps"),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False, comment="user:…, token:…, cli:…, system:… or anonymous"),
    Column("origin", Text, nullable=False, comment="network address, or the host's name"),
    Column("action", _Id, nullable=False),
    Column("outcome", Text, nullable=False, comment="done, refused or failed"),
    Column("subject", Text, nullable=False, comment="what it was done to, such as user:… or device:…"),
    Column("community", _Id, comment="NULL when it is about more than one or none"),
    Column("before", Text, comment="canonical JSON object"),
    Column("after", Text, comment="canonical JSON object"),
    Column("previous", Text, nullable=False, comment="digest of the entry before"),
    Column("digest", Text, nullable=False, comment="SHA-256 of this entry with the digest before it"),
    Index(None, "at_us"),
    Index(None, "actor"),
    Index(None, "subject"),
)

sharing_reports = Table(
    "sharing_reports",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("outlet", _Id, nullable=False),
    Column("day", _Id, nullable=False, comment="2026-11-23, in the zone of PULSE_TIMEZONE"),
    Column(
        "through",
        BigInteger,
        comment="number of the last delivery that it has; NULL: it has none, or does not say",
    ),
    Column("recorded_us", BigInteger, nullable=False),
    Column("said_by", Text, nullable=False, comment="user:… or token:…, as in the audit log"),
    Column("theirs", Text, nullable=False, comment="JSON object: count and digest by kind of data"),
    Column("ours", Text, nullable=False, comment="likewise, as it was then"),
    Index(None, "outlet", "day", "number"),
    sqlite_autoincrement=True,
)

repeats = Table(
    "repeats",
    metadata,
    Column("outlet", _Id, primary_key=True),
    Column("number", BigInteger, primary_key=True, comment="of the delivery that was made again"),
    Column("again_of", BigInteger, primary_key=True, comment="number of one that it repeats"),
    Index(None, "outlet", "again_of"),
)

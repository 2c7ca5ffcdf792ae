"""`pulse quarantine`: what could not be accepted, and why."""

from collections.abc import Iterator

from pulse.clock import to_iso
from pulse.messages import Quarantined
from pulse.settings import Settings
from pulse.stores.relational import quarantine
from pulse.stores.relational.database import Database

_SHOWN_BYTES = 80


def listed(settings: Settings, limit: int, reason: str | None) -> Iterator[str]:
    """The newest entries, a line each, under a line of counts by reason."""
    db = Database(settings.relational_url())
    db.open()
    try:
        with db.read() as connection:
            counts = quarantine.counts(connection)
            items = quarantine.recent(connection, limit, reason)
    finally:
        db.close()
    if not counts:
        yield "隔离区是空的 / The quarantine is empty."
        return
    total = sum(counts.values())
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    yield f"隔离区共 {total} 条 / {total} in quarantine: {reasons}"
    if not items:
        yield f"没有原因为 {reason} 的条目 / None has the reason {reason}."
    for _, item in items:
        yield _line(item)


def _line(item: Quarantined) -> str:
    shown = repr(bytes(item.payload[:_SHOWN_BYTES]))[2:-1]
    more = f"… ({item.size} bytes)" if item.size > _SHOWN_BYTES else f" ({item.size} bytes)"
    topic = item.topic.encode("unicode_escape").decode()
    return f"{to_iso(item.observed_us)}  {item.reason}  {topic}  {item.detail}\n    {shown}{more}"

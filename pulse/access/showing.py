"""Entries of the audit log as they are shown and exported."""

import json
from typing import Any

from pulse.access.chain import Entry
from pulse.clock import to_iso

COLUMNS = (*Entry._fields[:2], "at", *Entry._fields[2:])
"""All that an entry says, `at` (ISO 8601) beside `at_us`: enough to work its digest out again."""


def flat(entry: Entry) -> dict[str, Any]:
    """An entry by `COLUMNS`; `before` and `after` stay the canonical JSON text that was hashed."""
    return {**entry._asdict(), "at": to_iso(entry.at_us)}


def plain(entry: Entry) -> dict[str, Any]:
    """An entry for people and programs that read it: without the chain, `before` and `after` as objects."""
    return {
        "number": entry.number,
        "at": to_iso(entry.at_us),
        "actor": entry.actor,
        "origin": entry.origin,
        "action": entry.action,
        "outcome": entry.outcome,
        "subject": entry.subject,
        "community": entry.community,
        "before": None if entry.before is None else json.loads(entry.before),
        "after": None if entry.after is None else json.loads(entry.after),
    }


def printable(text: str) -> str:
    """`text` without what could steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

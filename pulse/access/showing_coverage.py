"""Blind intervals and incidents as the API and the command line give them."""

from typing import Any

from pulse.clock import to_iso
from pulse.ledger.model import FOREVER, Blind
from pulse.stores.relational.incidents import Decision, Entry


def interval(entry_id: int, blind: Blind) -> dict[str, Any]:
    """A blind interval."""
    return {
        "id": entry_id,
        "start": to_iso(blind.start),
        "end": _open(blind.end),
        "recorded_at": to_iso(blind.recorded),
        "revoked_at": _open(blind.revoked),
        "scope": blind.scope._asdict(),
        "cause": blind.cause,
    }


def shown(entry: Entry) -> dict[str, Any]:
    """An incident with what was decided of it."""
    found = entry.found
    return {
        "id": entry.id,
        "community": found.community,
        "status": entry.status,
        "opened_at": to_iso(found.opened),
        "recorded_at": to_iso(entry.recorded_us),
        "first": to_iso(found.first),
        "start": to_iso(found.start),
        "ended_at": _open(found.ended),
        "devices": found.devices,
        "silent": found.silent,
        "of": found.of,
        "confirmed": _decision(entry.confirmed),
        "approved": _decision(entry.approved),
        "dismissed": _decision(entry.dismissed),
        "blind_id": entry.blind_id,
    }


def _open(at_us: int) -> str | None:
    return None if at_us >= FOREVER else to_iso(at_us)


def _decision(decision: Decision | None) -> dict[str, str | None] | None:
    if decision is None:
        return None
    return {"at": to_iso(decision.at_us), "by": decision.by, "reason": decision.reason or None}

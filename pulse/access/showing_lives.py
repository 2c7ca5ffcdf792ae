"""Steps and lives of devices as the API and the command line give them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from pulse.access.showing_maintenance import shown_decision
from pulse.clock import to_iso
from pulse.ledger.model import FOREVER
from pulse.registry import biography
from pulse.registry.biography import Event, Said
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import lives, pastdevices, registry
from pulse.stores.relational.lives import Entry


def shown(entry: Entry) -> dict[str, Any]:
    """A step with what was decided of it."""
    step, decided = entry.step, entry.decisions
    return {
        "id": entry.id,
        "status": entry.status,
        "what": step.what,
        "device": step.device,
        "successor": step.successor,
        "at": to_iso(step.at_us),
        "reason": step.reason,
        "recorded_at": to_iso(entry.recorded_us),
        "recorded_by": entry.author,
        "known_at": None if decided.known_us >= FOREVER else to_iso(decided.known_us),
        "approved": shown_decision(decided.approved),
        "refused": shown_decision(decided.refused),
        "cancelled": shown_decision(decided.cancelled),
    }


def life(connection: Connection, device: str, within: frozenset[str] | None = None) -> dict[str, Any]:
    """What happened to a registered device, the steps that people recorded of it, and its place's devices.

    Of these, those that are in the communities `within` now (None: all).
    """
    forms = [Said(form.record, form.since_us, form.said_by) for form in pastdevices.forms(connection, device)]
    found = biography.events(registry.first_heard(connection, device), forms)
    records = (registry.device(connection, one) for one in lives.place(connection, device))
    stood = [record for record in records if record is not None]
    return {
        "device": device,
        "events": [_event(one) for one in found],
        "steps": [shown(entry) for entry in lives.about(connection, device)],
        "place": [_stay(record) for record in stood if within is None or record.community in within],
    }


def _stay(record: DeviceRecord) -> dict[str, str | None]:
    return {"device": record.id, "from": _iso(record.commissioned_us), "to": _iso(record.retired_us)}


def _event(one: Event) -> dict[str, Any]:
    return {
        "what": one.what,
        "at": _iso(one.at_us),
        "known_at": _iso(one.known_us),
        "by": one.by or None,
        "before": _readable(one.before),
        "after": _readable(one.after),
    }


def _readable(members: Mapping[str, object]) -> dict[str, Any]:
    """Members with times as ISO 8601, named without their unit."""
    return {
        name.replace("_us", "_at") if name.endswith("_us") else name: to_iso(value)
        if name.endswith("_us") and isinstance(value, int)
        else value
        for name, value in members.items()
    }


def _iso(at_us: int | None) -> str | None:
    return None if at_us is None else to_iso(at_us)

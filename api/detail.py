"""One device in full: what is registered, its state, and the evidence that decides it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from api import listing, why
from api.context import Context
from api.params import Moment
from pulse import logs
from pulse.clock import DAY_US, SECOND_US, to_iso
from pulse.errors import StoreError
from pulse.indicators.online_rate import DeviceStatus, StateInterval
from pulse.indicators.within import Within, covers
from pulse.ledger.model import Device
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import coverage, registry

RECENT_MESSAGES = 5
RECENT_US = 10 * DAY_US
_ALIVE = frozenset({"online", "fault"})

_log = logs.get(__name__)


class Asked(NamedTuple):
    """An instant and a knowledge time, both settled."""

    at_us: int
    known_us: int


def resolved(context: Context, moment: Moment) -> Asked:
    """The moment with "now" put in where nothing was given."""
    as_of = context.rate.as_of()
    at_us = as_of.at_us if moment.at_us is None else moment.at_us
    return Asked(at_us, max(at_us, as_of.at_us) if moment.known_us is None else moment.known_us)


def registered(connection: Connection, device_id: str, within: Within) -> DeviceRecord | None:
    """A device of the communities `within`; None for every other, whether it is registered or not."""
    record = registry.device(connection, device_id)
    return record if record is not None and covers(within, record.community) else None


def device(context: Context, device_id: str, moment: Moment, within: Within) -> dict[str, Any] | None:
    """The answer about one device, None when none of the communities `within` has it."""
    with context.db.read() as connection:
        record = registered(connection, device_id, within)
        if record is None:
            return None
        listed = registry.ledger_devices(connection, default_timeout_s=context.settings.default_timeout_s)
        start_us = coverage.start_us(connection)
        blinds = [entry for _, entry in coverage.entries(connection)]
    terms = next(d for d in listed if d.id == device_id)
    asked = resolved(context, moment)
    status = context.rate.device(device_id, *asked)
    heard, evidence = _heard(context, terms, status, asked)
    judged_us = status.since_us if status.state == "offline" and status.since_us is not None else asked.at_us
    past = context.rate.timeline(device_id, asked.at_us - DAY_US, *asked)
    return {
        "device": facts(record, terms, asked.at_us),
        **listing.state(status),
        **evidence,
        "window": why.listening_window(terms, blinds, start_us, judged_us, asked.known_us),
        **heard,
        "intervals": [_interval(stretch) for stretch in past],
        "statistics": context.statistics.device(device_id, context.statistics.period(None, *asked)),
        "at": to_iso(asked.at_us),
        "known_at": to_iso(asked.known_us),
    }


def facts(record: DeviceRecord, terms: Device, at_us: int) -> dict[str, Any]:
    """What the registry says of a device, with the terms in force at `at_us`."""
    agreed = terms.terms_at(at_us)
    return {
        "id": record.id,
        "community": record.community,
        "kind": record.kind,
        "name_zh": record.name_zh,
        "name_en": record.name_en,
        "building": record.building,
        "location": record.location,
        "tags": list(record.tags),
        "vendor": record.vendor,
        "model": record.model,
        "serial": record.serial,
        "timeout_s": agreed.timeout / SECOND_US,
        "max_lateness_s": agreed.max_lateness / SECOND_US,
        "clock_untrusted": agreed.clock_untrusted,
        "commissioned_at": listing.iso(record.commissioned_us),
        "retired_at": listing.iso(record.retired_us),
    }


def intervals(
    device_id: str, stretches: Iterable[StateInterval], from_us: int, asked: Asked
) -> dict[str, Any]:
    """The answer about a device's states through `[from_us, asked.at_us)`."""
    items = [_interval(stretch) for stretch in stretches]
    totals: dict[str, float] = {}
    for item in items:
        totals[item["state"]] = totals.get(item["state"], 0.0) + item["duration_s"]
    return {
        "device": device_id,
        "intervals": items,
        "states": totals,
        "from": to_iso(from_us),
        "to": to_iso(asked.at_us),
        "known_at": to_iso(asked.known_us),
    }


def _interval(stretch: "StateInterval") -> dict[str, Any]:
    return {
        "state": stretch.state,
        "from": to_iso(stretch.start_us),
        "to": to_iso(stretch.end_us),
        "duration_s": (stretch.end_us - stretch.start_us) / SECOND_US,
    }


def _heard(
    context: Context, terms: Device, status: DeviceStatus, asked: Asked
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The latest messages and the one that decides; what is missing is said, not left out in silence.

    The second part is what the messages tell of the evidence of a device that is alive.
    """
    store = context.store
    until_us = min(asked) + 1
    try:
        heard = list(
            store.read_messages(
                until_us - RECENT_US, until_us, device=status.device, limit=RECENT_MESSAGES, newest_first=True
            )
        )
        if status.evidence_us is not None:
            found = store.read_measured(status.device, status.evidence_us, status.evidence_us + 1)
            heard += found[-RECENT_MESSAGES:]
        oldest_us = store.oldest_us()
    except StoreError as error:
        _log.warning("messages_unreadable", device=status.device, error=str(error))
        return _messages([], None, deleted=False, unavailable=True), {}
    lateness_us = round(context.settings.backlog_lateness_s * SECOND_US)
    shown, piece = why.messages(terms, heard, asked.at_us, asked.known_us, lateness_us)
    if status.state in _ALIVE:
        deadline_us = None if piece is None else piece.at + terms.terms_at(piece.at).timeout
        if piece is None or deadline_us is None or deadline_us <= asked.at_us:
            return _messages(shown, oldest_us, deleted=True), {}
        evidence = {"evidence_at": to_iso(piece.at), "deadline": to_iso(deadline_us)}
        return _messages(shown, oldest_us, deleted=False), evidence
    missing = status.evidence_us is not None and (piece is None or piece.at != status.evidence_us)
    return _messages(shown, oldest_us, deleted=missing), {}


def _messages(
    shown: list[dict[str, Any]], oldest_us: int | None, *, deleted: bool, unavailable: bool = False
) -> dict[str, Any]:
    return {
        "messages": [{**item, "decides": item["decides"] and not deleted} for item in shown],
        "messages_since": listing.iso(oldest_us),
        "messages_deleted": deleted,
        "messages_unavailable": unavailable,
    }

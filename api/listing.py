"""The list of devices: which match, where a page begins, and what is shown of each."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from api import cursor, params
from api.problems import Checks
from pulse.clock import to_iso
from pulse.indicators.online_rate import DeviceStatus
from pulse.indicators.within import Within
from pulse.registry.model import DeviceRecord

COLUMNS = (
    *("id", "community", "kind", "name_zh", "name_en", "building", "location"),
    *("state", "since", "cause", "evidence_at", "deadline"),
)


class Filters(NamedTuple):
    """Which devices are asked for; empty and None ask for all."""

    states: tuple[str, ...] = ()
    community: str | None = None
    kind: str | None = None
    q: str | None = None


class Begin(NamedTuple):
    """Where a page begins: behind the id `after`, at an instant and by a knowledge (None: now)."""

    at_us: int | None
    known_us: int | None
    after: str = ""


def begin(
    checks: Checks,
    filters: Filters,
    at: str | None,
    known_at: str | None,
    text: str | None,
    now_us: int,
    within: Within,
) -> Begin:
    """Where the page asked for begins; a cursor brings the instant of its first page along.

    It serves those only who see the communities of the one that it was given to.
    """
    moment = params.moment(checks, at, known_at, now_us)
    if text is None:
        return Begin(*moment)
    found = cursor.decode(text)
    if found is None or not 0 <= found.at_us <= found.known_us <= now_us:
        checks.refuse("cursor", "bad_cursor", text)
        return Begin(*moment)
    agrees = (at is None or moment.at_us == found.at_us) and (
        known_at is None or moment.known_us == found.known_us
    )
    if found.filters != cursor.digest(filters, within) or not agrees:
        checks.refuse("cursor", "cursor_of_other_query", text)
    return Begin(found.at_us, found.known_us, found.last)


def select(
    statuses: Iterable[DeviceStatus], records: Mapping[str, DeviceRecord], filters: Filters
) -> list[dict[str, Any]]:
    """The devices that match, as they are shown, in order of id."""
    words = (filters.q or "").casefold().split()
    found = []
    for status in statuses:
        record = records.get(status.device)
        if (
            record is not None
            and (not filters.states or status.state in filters.states)
            and filters.community in {None, status.community}
            and filters.kind in {None, status.kind}
            and _mentions(record, words)
        ):
            found.append(_item(record, status))
    found.sort(key=lambda item: str(item["id"]))
    return found


def _mentions(record: DeviceRecord, words: list[str]) -> bool:
    if not words:
        return True
    texts = (
        *(record.id, record.name_zh, record.name_en, record.building, record.location),
        *(record.vendor, record.model, record.serial, *record.tags),
    )
    said = "\n".join(texts).casefold()
    return all(word in said for word in words)


def _item(record: DeviceRecord, status: DeviceStatus) -> dict[str, Any]:
    return {
        "id": record.id,
        "community": status.community,
        "kind": status.kind,
        "name_zh": record.name_zh,
        "name_en": record.name_en,
        "building": record.building,
        "location": record.location,
        **state(status),
    }


def state(status: DeviceStatus) -> dict[str, Any]:
    """A device's state with its times as ISO 8601."""
    return {
        "state": status.state,
        "since": iso(status.since_us),
        "cause": status.cause,
        "evidence_at": iso(status.evidence_us),
        "deadline": iso(status.deadline_us),
    }


def iso(at_us: int | None) -> str | None:
    """ISO 8601, None for no time."""
    return None if at_us is None else to_iso(at_us)

"""The list of devices' statistics: in which order, where a page begins, and what is shown of each."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from api import cursor, params
from api.problems import Checks
from pulse.indicators.present import percent
from pulse.indicators.reliability import described_device
from pulse.indicators.statistics import Own
from pulse.indicators.within import Within
from pulse.ledger.statistics import Meeting
from pulse.registry.model import DeviceRecord

Order = Literal["id", "down"]

COLUMNS = (
    *("id", "community", "kind", "name_zh", "name_en", "building", "location"),
    *("availability_percent", "availability_percent_upper", "adjusted_percent", "basis", "determined"),
    *("in_service_s", "online_s", "down_s", "fault_s", "offline_s", "unknown_s", "excluded_s"),
    *("outages", "open", "failures", "restored", "longest_s", "longest_from", "longest_to"),
    *("mtbf_s", "mttr_s", "faults_per_device_year", "above"),
    *("flapping", "flapping_episodes", "flapping_s"),
)


class Filters(NamedTuple):
    """Which devices are asked for, over which period, in which order."""

    from_us: int | None
    community: str | None
    kind: str | None
    threshold: int
    order: Order


class Begin(NamedTuple):
    """A period (its end and knowledge None: now), and the key of the device that the page follows."""

    to_us: int | None
    known_us: int | None
    after: str = ""


def asked_of(
    checks: Checks, from_: str | None, to: str | None, known_at: str | None, now_us: int
) -> tuple[int | None, params.Moment]:
    """The beginning that is asked for, and the end with its knowledge; None stands for the defaults."""
    if from_ is None and to is None:
        return None, params.moment(checks, None, known_at, now_us)
    found = params.period(checks, from_, to, known_at, now_us)
    if found is None:
        return None, params.Moment(None, None)
    return found.from_us, params.Moment(found.to_us, found.known_us)


def begin(
    checks: Checks, filters: Filters, asked: params.Moment, text: str | None, now_us: int, within: Within
) -> Begin:
    """Where the page asked for begins; a cursor brings the end and the knowledge of its first page along."""
    if text is None:
        return Begin(*asked)
    found = cursor.decode(text)
    if found is None or not 0 <= found.at_us <= found.known_us <= now_us:
        checks.refuse("cursor", "bad_cursor", text)
        return Begin(*asked)
    agrees = asked.at_us in {None, found.at_us} and asked.known_us in {None, found.known_us}
    if found.filters != cursor.digest(filters, within) or not agrees:
        checks.refuse("cursor", "cursor_of_other_query", text)
    return Begin(found.at_us, found.known_us, found.last)


def ordered(found: Sequence[Own], order: Order) -> list[Own]:
    """All devices by id, or those that were down the longest first; of equals by id."""
    return sorted(found, key=lambda own: key_of(own, order))


def key_of(own: Own, order: Order) -> str:
    """Text that is in the order of the list, for cursors."""
    if order == "id":
        return own.device.id
    return f"{(1 << 63) - own.tally.down:020d}/{own.device.id}"


def item(own: Own, record: DeviceRecord, threshold: int) -> dict[str, Any]:
    """One device as JSON shows it."""
    return {
        "id": record.id,
        "community": own.device.community,
        "kind": own.device.kind,
        "name_zh": record.name_zh,
        "name_en": record.name_en,
        "building": record.building,
        "location": record.location,
        **described_device(own.tally),
        "above": above(own, threshold),
    }


def above(own: Own, threshold: int) -> bool | None:
    """Whether a device's raw availability reaches the threshold; None while that depends on the unknown."""
    meeting = Meeting()
    meeting.add(own.tally.figures, threshold)
    if meeting.surely == meeting.perhaps:
        return bool(meeting.surely)
    return None


def row(shown: Mapping[str, Any], own: Own) -> dict[str, Any]:
    """One device as CSV shows it: the members of its item, flat."""
    availability, states = shown["availability"], shown["availability"]["states"]
    longest, flapping = shown["longest"] or {}, shown["flapping"]
    figures = own.tally.figures
    cells = {
        **{name: shown[name] for name in COLUMNS if name in shown and name != "flapping"},
        "availability_percent": availability["percent"],
        "availability_percent_upper": percent(figures.online_raw + figures.unknown_raw, figures.in_service),
        "adjusted_percent": availability["adjusted"]["percent"],
        "basis": availability["adjusted"]["basis"],
        "in_service_s": availability["total"],
        "online_s": states["online"],
        "fault_s": states["fault"],
        "offline_s": states["offline"],
        "unknown_s": states["unknown"],
        "excluded_s": states["excluded"],
        "longest_s": longest.get("down_s"),
        "longest_from": longest.get("from"),
        "longest_to": longest.get("to"),
        "flapping": flapping["now"],
        "flapping_episodes": flapping["episodes"],
        "flapping_s": flapping["seconds"],
    }
    return {name: str(cell).lower() if isinstance(cell, bool) else cell for name, cell in cells.items()}


def unnamed(answer: dict[str, Any]) -> dict[str, Any]:
    """A group's answer for those who may not know its devices."""
    for part in (answer, *answer["by_community"].values(), *answer["by_kind"].values()):
        if part["longest"] is not None:
            part["longest"]["device"] = None
    return answer

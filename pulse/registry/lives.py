"""Steps in the life of a device: it goes into service, is retired, or gives its place to another. Pure."""

import hashlib
import json
from typing import NamedTuple

from pulse.access.reasons import reason_of
from pulse.clock import to_iso
from pulse.errors import BadInput, Conflict
from pulse.ids import check_id
from pulse.registry.model import DeviceRecord

COMMISSION, RETIRE, REPLACE = "commission", "retire", "replace"
WHAT = (COMMISSION, RETIRE, REPLACE)


class Step(NamedTuple):
    """What happens to a device at `at_us`; a replaced one is retired then, and `successor` begins."""

    what: str
    device: str
    at_us: int
    reason: str
    successor: str | None = None


def checked(step: Step) -> Step:
    """The step with its reason trimmed. Raises `BadInput` naming the member that cannot be."""
    if step.what not in WHAT:
        raise BadInput(f"可用 / use one of {', '.join(WHAT)}", where="what")
    if not 0 <= step.at_us < 1 << 60:
        raise BadInput("超出历法 / lies beyond the calendar", where="at")
    to_iso(step.at_us)
    if (step.what == REPLACE) != (step.successor is not None):
        raise BadInput(
            "更换须指明新设备，其他步骤不要 / a replacement names its new device, other steps do not",
            where="successor",
        )
    if step.successor is not None:
        check_id(step.successor, "successor")
        if step.successor == step.device:
            raise BadInput("与旧设备相同 / is the old device", where="successor")
    return step._replace(reason=reason_of(step.reason))


def applied(
    step: Step, record: DeviceRecord, successor: DeviceRecord | None, now_us: int
) -> list[DeviceRecord]:
    """The records as they are once the step is taken, known from `now_us` on.

    What is in force already is not moved: the ledger would forget what it knew. Raises `Conflict`.
    """
    if step.what == COMMISSION:
        return [_commissioned(record, step.at_us, now_us)]
    retired = _retired(record, step.at_us, now_us)
    if step.what == RETIRE:
        return [retired]
    new = in_place_of(record, step.successor or "") if successor is None else successor
    if (new.community, new.kind) != (record.community, record.kind):
        raise Conflict(
            f"{new.id} 的小区或类别与 {record.id} 不同 / is of another community or kind than {record.id}"
        )
    here = new._replace(building=record.building, location=record.location, tags=record.tags)
    return [retired, _commissioned(here, step.at_us, now_us)]


def in_place_of(record: DeviceRecord, successor: str) -> DeviceRecord:
    """A new unit in the place of another, not in service yet; it has its own maker's facts to be told."""
    return record._replace(
        id=successor,
        serial="",
        commissioned_us=None,
        commissioned_recorded_us=None,
        retired_us=None,
        retired_recorded_us=None,
    )


def fingerprint(step: Step) -> str:
    """16 hexadecimal digits that tell one step from another: what was previewed is what is saved."""
    said = json.dumps(step, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _commissioned(record: DeviceRecord, at_us: int, now_us: int) -> DeviceRecord:
    if record.commissioned_us is not None and record.commissioned_us <= now_us:
        raise Conflict(
            f"{record.id} 已于 {to_iso(record.commissioned_us)} 启用 / is in service since then; retire it "
            "and register another device instead"
        )
    _check_not_retired(record, now_us)
    if record.retired_us is not None and record.retired_us < at_us:
        raise Conflict(f"{record.id} 的停用早于启用 / would be retired before it is commissioned")
    return record._replace(commissioned_us=at_us, commissioned_recorded_us=now_us)


def _retired(record: DeviceRecord, at_us: int, now_us: int) -> DeviceRecord:
    if record.commissioned_us is None or record.commissioned_us > at_us:
        raise Conflict(f"{record.id} 当时尚未启用 / was not in service then, so it cannot be retired")
    _check_not_retired(record, now_us)
    return record._replace(retired_us=at_us, retired_recorded_us=now_us)


def _check_not_retired(record: DeviceRecord, now_us: int) -> None:
    if record.retired_us is not None and record.retired_us <= now_us:
        raise Conflict(f"{record.id} 已于 {to_iso(record.retired_us)} 停用 / is retired since then")

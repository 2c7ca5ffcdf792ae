"""What people declare of an installation, checked when it comes in."""

import math
import re
from typing import Literal, NamedTuple, get_args

from pulse.clock import SECOND_US, to_iso
from pulse.errors import BadInput
from pulse.ids import check_id

MAX_TEXT = 500
"""Longest text of one member, characters."""
MAX_DURATION_S = 10 * 366 * 86_400.0
MAX_QUANTITY = 1_000_000_000

What = Literal["communities", "kinds", "planned", "devices"]
WHAT: tuple[What, ...] = get_args(What)
"""The registry's parts, each with a file of its own, in the order in which they have to be imported."""

_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Community(NamedTuple):
    """A community (社区)."""

    id: str
    name_zh: str = ""
    name_en: str = ""


class Kind(NamedTuple):
    """A kind of device: how often it beats and how long it may be silent, None where nobody says."""

    id: str
    name_zh: str = ""
    name_en: str = ""
    interval_s: float | None = None
    timeout_s: float | None = None


class Planned(NamedTuple):
    """How many devices of a kind a community was to get."""

    community: str
    kind: str
    quantity: int


class DeviceRecord(NamedTuple):
    """A registered device.

    `timeout_s` None: as its community or kind has it. `max_lateness_s` > 0 declares that it buffers.
    Without `commissioned_us` it is not commissioned yet. The `_recorded_us` members say since when
    commissioning and retirement are known; left None, the registry sets them to the time of the change.
    """

    id: str
    community: str
    kind: str
    name_zh: str = ""
    name_en: str = ""
    building: str = ""
    location: str = ""
    tags: tuple[str, ...] = ()
    vendor: str = ""
    model: str = ""
    serial: str = ""
    timeout_s: float | None = None
    max_lateness_s: float = 0.0
    clock_untrusted: bool = False
    commissioned_us: int | None = None
    retired_us: int | None = None
    commissioned_recorded_us: int | None = None
    retired_recorded_us: int | None = None


class Discovered(NamedTuple):
    """A device that was heard and that no one registered, with the topic's community and kind."""

    device: str
    community: str
    kind: str
    first_us: int
    last_us: int


class Policy(NamedTuple):
    """What was declared of a device, community or kind, or by default, from `since_us` on.

    `scope` is `device`, `community`, `kind` or `default`. It is known from `recorded_us` on; members that are
    None say nothing. A device's version also says where it belonged and what it was.
    """

    scope: str
    subject: str
    since_us: int
    recorded_us: int
    interval_s: float | None = None
    timeout_s: float | None = None
    max_lateness_s: float | None = None
    clock_untrusted: bool | None = None
    community: str | None = None
    kind: str | None = None


class Changes(NamedTuple):
    """What putting records did, or would do: how many were new, changed and as before."""

    added: int
    changed: int
    unchanged: int


def check_community(record: Community) -> None:
    """Raise `BadInput`, `where` naming the member, unless the record can be stored."""
    check_id(record.id, "id")
    check_text(record.name_zh, "name_zh")
    check_text(record.name_en, "name_en")


def check_kind(record: Kind) -> None:
    """Raise `BadInput`, `where` naming the member, unless the record can be stored."""
    check_id(record.id, "id")
    check_text(record.name_zh, "name_zh")
    check_text(record.name_en, "name_en")
    check_duration(record.interval_s, "interval_s", least_s=1 / SECOND_US)
    check_duration(record.timeout_s, "timeout_s", least_s=1 / SECOND_US)


def check_planned(record: Planned) -> None:
    """Raise `BadInput`, `where` naming the member, unless the record can be stored."""
    check_id(record.community, "community")
    check_id(record.kind, "kind")
    if not 0 <= record.quantity <= MAX_QUANTITY:
        raise BadInput(f"不在 0 与 {MAX_QUANTITY} 之间 / not between 0 and {MAX_QUANTITY}", where="quantity")


def check_device(record: DeviceRecord) -> None:
    """Raise `BadInput`, `where` naming the member, unless the record can be stored."""
    check_id(record.id, "id")
    check_id(record.community, "community")
    check_id(record.kind, "kind")
    for name in ("name_zh", "name_en", "building", "location", "vendor", "model", "serial"):
        check_text(getattr(record, name), name)
    for tag in record.tags:
        check_text(tag, "tags")
        if not tag or tag != tag.strip() or ";" in tag:
            raise BadInput(
                f"标签 {tag!r} 为空、首尾有空格或含分号 / "
                f"the tag {tag!r} is empty, padded or has a semicolon",
                where="tags",
            )
    check_duration(record.timeout_s, "timeout_s", least_s=1 / SECOND_US)
    check_duration(record.max_lateness_s, "max_lateness_s", least_s=0)
    _check_time(record.commissioned_us, "commissioned_at")
    _check_time(record.retired_us, "retired_at")
    if (
        record.commissioned_us is not None
        and record.retired_us is not None
        and record.retired_us < record.commissioned_us
    ):
        raise BadInput(
            f"停用早于启用（{to_iso(record.commissioned_us)}）/ "
            f"retired before it was commissioned ({to_iso(record.commissioned_us)})",
            where="retired_at",
        )


def check_text(text: str, where: str) -> None:
    """Raise `BadInput` naming `where` for control characters, halves of characters and over-long text."""
    found = _UNSTORABLE.search(text)
    if found:
        code = f"U+{ord(found[0]):04X}"
        raise BadInput(
            f"含控制字符 {code}（如换行）/ has a control character {code} such as a line break", where=where
        )
    if len(text) > MAX_TEXT:
        raise BadInput(
            f"{len(text)} 个字符，最多 {MAX_TEXT} / {len(text)} characters, at most {MAX_TEXT}", where=where
        )


def check_duration(seconds: float | None, where: str, *, least_s: float) -> None:
    """Raise `BadInput` naming `where` for a duration that is no number or out of bounds."""
    if seconds is None:
        return
    if not math.isfinite(seconds) or not least_s <= seconds <= MAX_DURATION_S:
        least = "大于 0 / more than 0" if least_s > 0 else "0 或更大 / 0 or more"
        raise BadInput(f"{seconds:g} 秒超出范围：须{least}，最多十年 / at most ten years", where=where)


def seconds(duration_us: int | None) -> float | None:
    """Microseconds as seconds; None stays None."""
    return None if duration_us is None else duration_us / SECOND_US


def microseconds(duration_s: float | None) -> int | None:
    """Seconds as microseconds, rounded; None stays None."""
    return None if duration_s is None else round(duration_s * SECOND_US)


def _check_time(at_us: int | None, where: str) -> None:
    if at_us is None:
        return
    try:
        to_iso(at_us)
    except OverflowError:
        raise BadInput(f"{at_us} 超出历法 / {at_us} is beyond the calendar", where=where) from None

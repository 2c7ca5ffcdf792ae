"""Query parameters: only those that exist, each once, with times and ids checked."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import Path, Query, Request
from sqlalchemy import Connection

from api.problems import Checks
from pulse.clock import parse_time, to_iso
from pulse.errors import BadInput
from pulse.ids import is_id
from pulse.indicators.reliability import parse_threshold
from pulse.indicators.within import Within, covers
from pulse.stores.relational import registry

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

TIME_FORM = "带时区的 ISO 8601 或 Unix 秒 / ISO 8601 with a zone, or epoch seconds"
MAX_VALUE = 200

_Text = Annotated[str | None, Query(max_length=MAX_VALUE)]
At = Annotated[
    _Text,
    Query(
        description=f"所问的时刻，默认现在 / the instant asked about, now by default. {TIME_FORM}",
        examples=["2026-11-23T08:00:00Z", "2026-11-23T16:00:00+08:00", "1795420800"],
    ),
]
From = Annotated[
    _Text,
    Query(
        alias="from",
        description=f"时段的开始（含）/ beginning of the period, included. {TIME_FORM}",
        examples=["2026-11-22T00:00:00+08:00"],
    ),
]
To = Annotated[
    _Text,
    Query(
        description=f"时段的结束（不含）/ end of the period, excluded. {TIME_FORM}",
        examples=["2026-11-23T00:00:00+08:00"],
    ),
]
KnownAt = Annotated[
    _Text,
    Query(
        description=(
            "按当时所知作答，默认按现在所知；只给它时，at 即为它 / "
            "answer by what was known then, by default by what is known now; given alone, it is `at` too. "
            + TIME_FORM
        ),
        examples=["2026-11-23T08:00:00Z"],
    ),
]
Community = Annotated[
    str | None,
    Query(max_length=64, description="只看这个小区 / of this community only", examples=["xinjinglou"]),
]
Kind = Annotated[
    str | None, Query(max_length=64, description="只看这个类别 / of this kind only", examples=["camera"])
]
Threshold = Annotated[
    str,
    Query(
        max_length=10,
        description="可用率阈值，百分数 / availability to reach, percent with at most three decimals",
        examples=["95", "99.5"],
    ),
]
DeviceId = Annotated[
    str,
    Path(alias="id", max_length=MAX_VALUE, description="设备编号 / id of the device", examples=["cam-017"]),
]


def only_known(request: Request) -> None:
    """Refuse parameters that the endpoint does not have, and single ones that are given twice.

    A mistyped `know_at` must not be answered as if it had not been given.
    """
    fields = {field.alias: field for field in _query_fields(request.scope["route"].dependant)}
    checks = Checks()
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in fields:
            checks.refuse(name, "unknown_parameter", known=", ".join(fields) or "-")
        elif count > 1 and not _takes_many(fields[name]):
            checks.refuse(name, "given_twice")
    checks.settle()


def _query_fields(dependant: "Dependant") -> Iterator[Any]:
    yield from dependant.query_params
    for dependency in dependant.dependencies:
        yield from _query_fields(dependency)


def _takes_many(field: Any) -> bool:
    return "list" in str(field.field_info.annotation)


class Moment(NamedTuple):
    """An instant that is asked about, and what is to be known of it; None stands for now."""

    at_us: int | None
    known_us: int | None


class Period(NamedTuple):
    """A half-open period that is asked about, and what is to be known of it (None: now)."""

    from_us: int
    to_us: int
    known_us: int | None


def time_of(checks: Checks, name: str, text: str | None, now_us: int) -> int | None:
    """The time of a parameter, not after now; None when it is absent or refused."""
    if text is None:
        return None
    try:
        at_us = parse_time(text, name)
    except BadInput:
        checks.refuse(name, "not_a_time", text)
        return None
    if at_us > now_us:
        checks.refuse(name, "in_the_future", text, now=to_iso(now_us))
        return None
    return at_us


def moment(checks: Checks, at: str | None, known_at: str | None, now_us: int) -> Moment:
    """The instant of `at` and `known_at`."""
    at_us = time_of(checks, "at", at, now_us)
    known_us = time_of(checks, "known_at", known_at, now_us)
    if at_us is not None and known_us is not None and at_us > known_us:
        checks.refuse("at", "after_known_at", at)
    return Moment(known_us if at is None else at_us, known_us)


def period(
    checks: Checks, from_: str | None, to: str | None, known_at: str | None, now_us: int
) -> Period | None:
    """The period of `from` and `to`, None when one is absent or refused."""
    from_us = time_of(checks, "from", from_, now_us)
    to_us = time_of(checks, "to", to, now_us)
    known_us = time_of(checks, "known_at", known_at, now_us)
    if from_ is None and to is not None:
        checks.refuse("to", "needs_partner", to, partner="from")
    if to is None and from_ is not None:
        checks.refuse("from", "needs_partner", from_, partner="to")
    if from_us is None or to_us is None:
        return None
    if from_us >= to_us:
        checks.refuse("from", "not_before_to", from_)
    if known_us is not None and to_us > known_us:
        checks.refuse("to", "after_known_at", to)
    return Period(from_us, to_us, known_us)


def threshold_of(checks: Checks, text: str) -> int:
    """An availability in thousandths of a percent; 0 when it is refused."""
    try:
        return parse_threshold(text, "threshold")
    except BadInput:
        checks.refuse("threshold", "not_a_percentage", text)
        return 0


def one_of(checks: Checks, name: str, value: str | None, known: Iterable[str]) -> None:
    """Refuse a value that is not among the known ones."""
    if value is None:
        return
    options = sorted(known)
    if value not in options:
        shown = ", ".join(options[:20]) + (" …" if len(options) > 20 else "")
        checks.refuse(name, "unknown_value", value, known=shown or "-")


def scope(
    checks: Checks, connection: Connection, community: str | None, kind: str | None, within: Within
) -> None:
    """Refuse a community or kind that the registry does not have; one that is not `within` is as unknown."""
    if community is not None:
        known = (c.id for c in registry.communities(connection) if covers(within, c.id))
        one_of(checks, "community", community, known)
    if kind is not None:
        one_of(checks, "kind", kind, (k.id for k in registry.kinds(connection)))


def device_id(checks: Checks, value: str) -> None:
    """Refuse a text of a path that is no id."""
    if not is_id(value):
        checks.refuse("id", "not_an_id", value)

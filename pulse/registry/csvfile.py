"""The registry's CSV files: communities, kinds, planned quantities and devices, exact in both directions."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from pulse.errors import BadInput
from pulse.registry import cells
from pulse.registry.model import (
    Community,
    DeviceRecord,
    Kind,
    Planned,
    check_community,
    check_device,
    check_kind,
    check_planned,
)
from pulse.registry.sheet import BadRows, Column, Problem, read, write

COMMUNITIES = (
    Column("id", cells.ident),
    Column("name_zh", cells.text),
    Column("name_en", cells.text),
)
KINDS = (
    Column("id", cells.ident),
    Column("name_zh", cells.text),
    Column("name_en", cells.text),
    Column("interval_s", cells.duration, cells.show_seconds),
    Column("timeout_s", cells.duration, cells.show_seconds),
)
PLANNED = (
    Column("community", cells.ident),
    Column("kind", cells.ident),
    Column("quantity", cells.quantity),
)
DEVICES = (
    Column("id", cells.ident),
    Column("community", cells.ident),
    Column("kind", cells.ident),
    Column("name_zh", cells.text),
    Column("name_en", cells.text),
    Column("building", cells.text),
    Column("location", cells.text),
    Column("tags", cells.tags, ";".join),
    Column("vendor", cells.text),
    Column("model", cells.text),
    Column("serial", cells.text),
    Column("timeout_s", cells.duration, cells.show_seconds),
    Column("max_lateness_s", cells.lateness, cells.show_seconds),
    Column("clock_untrusted", cells.flag, cells.show_flag),
    Column("commissioned_at", cells.moment, cells.show_moment),
    Column("retired_at", cells.moment, cells.show_moment),
)

_Record = TypeVar("_Record", bound=tuple[Any, ...])


def parse_communities(text: bytes) -> list[Community]:
    """Communities of a file. Raises `BadRows` with every problem, as every reader here."""
    return _parse(text, COMMUNITIES, Community._make, check_community, key=1)


def parse_kinds(text: bytes) -> list[Kind]:
    """Kinds of a file."""
    return _parse(text, KINDS, Kind._make, check_kind, key=1)


def parse_planned(text: bytes, *, communities: Collection[str], kinds: Collection[str]) -> list[Planned]:
    """Planned quantities of a file; `communities` and `kinds` are the ids that are registered."""
    known = [_known("community", communities), _known("kind", kinds)]
    return _parse(text, PLANNED, Planned._make, *known, check_planned, key=2)


def parse(
    text: bytes, *, communities: Collection[str], kinds: Collection[str], prefix: bool = False
) -> list[DeviceRecord]:
    """Devices of a file; `communities` and `kinds` are the ids that are registered.

    With `prefix`, every id gets its community's and a dash in front unless it begins with them already.
    """

    def make(values: tuple[Any, ...]) -> DeviceRecord:
        record = DeviceRecord(*values)
        start = record.community + "-"
        if prefix and not record.id.startswith(start):
            return record._replace(id=start + record.id)
        return record

    known = [_known("community", communities), _known("kind", kinds)]
    return _parse(text, DEVICES, make, *known, check_device, key=1)


def render(records: Iterable[DeviceRecord]) -> str:
    """Devices as CSV; `parse` gives them back but for since when commissioning and retirement are known."""
    return write(DEVICES, records)


def render_communities(records: Iterable[Community]) -> str:
    """Communities as CSV."""
    return write(COMMUNITIES, records)


def render_kinds(records: Iterable[Kind]) -> str:
    """Kinds as CSV."""
    return write(KINDS, records)


def render_planned(records: Iterable[Planned]) -> str:
    """Planned quantities as CSV."""
    return write(PLANNED, records)


def _parse(
    text: bytes,
    columns: tuple[Column, ...],
    make: Callable[[tuple[Any, ...]], _Record],
    *checks: Callable[[_Record], None],
    key: int,
) -> list[_Record]:
    """Records of a file; no two may have the same first `key` members, and all have to pass the checks."""
    problems: list[Problem] = []
    lines = read(text, columns, problems)
    records: list[_Record] = []
    first: dict[tuple[Any, ...], int] = {}
    for line in lines:
        record = make(line.values)
        earlier = first.setdefault(record[:key], line.number)
        if earlier != line.number:
            reason = f"与第 {earlier} 行重复 / the same as on line {earlier}"
            problems.append(Problem(line.number, columns[key - 1].name, reason))
        for check in checks:
            try:
                check(record)
            except BadInput as error:
                problems.append(Problem(line.number, error.where or "", error.reason))
        records.append(record)
    if problems:
        raise BadRows(sorted(problems))
    return records


def _known(member: str, known: Collection[str]) -> Callable[[Any], None]:
    """A check that a record's `member` is one of the ids that are registered."""
    shown = ", ".join(sorted(known)[:20]) or "无 / none"

    def check(record: Any) -> None:
        given = getattr(record, member)
        if given not in known:
            raise BadInput(
                f"{given} 未登记，已有：{shown} / {given} is not registered; there are: {shown}", where=member
            )

    return check

"""What it means that a published data-sharing ratio comes out otherwise now."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection

from pulse.chain import head_of
from pulse.errors import BadInput
from pulse.indicators import sharing_inputs
from pulse.indicators.books import Library
from pulse.indicators.indicator import (
    DECIDED_THEN,
    DEFAULT_CHANGED,
    FIGURES,
    UNKNOWN_FORM,
    Outcome,
    Reason,
    Verdict,
    registry_changed,
    waited,
)
from pulse.indicators.inputs import LATE_US
from pulse.indicators.sharing_inputs import FORM, SECTIONS
from pulse.sharing.receipts import Acknowledged
from pulse.stores.relational import catalogue, coverage, maintenance, receipts
from pulse.stores.relational.database import Database
from pulse.stores.relational.published import PublishedValue, Stored

if TYPE_CHECKING:
    from pulse.indicators.sharing_publication import Draft, SharingPublication

_COMMAND = "pulse indicators verify-chain"


def judged(
    db: Database, library: Library, publication: "SharingPublication", row: Stored, inputs: Mapping[str, Any]
) -> Verdict:
    """Work a value out again, and say what it means if it comes out otherwise."""
    default_us = inputs.get("default_timeout_us")
    if inputs.get("form") != FORM or not isinstance(default_us, int):
        return Verdict(Outcome.DIFFERS, [UNKNOWN_FORM])
    try:
        head = head_of(str(inputs.get("receipts_head")), _COMMAND)
    except BadInput:
        return Verdict(Outcome.DIFFERS, [UNKNOWN_FORM])
    case = _Case(db, library, publication, row, inputs, head.number)
    again = case.again()
    value, found = again.value, (again.value.numerator, again.value.denominator)
    parts = [one for own in again.found.acknowledged.values() for one in own]
    with db.read() as connection:
        sealed = receipts.link_of(connection, head.number) == head.digest and _are_sealed(connection, parts)
    differing = [name for name in SECTIONS if inputs.get(name) != value.inputs[name]]
    explained = {name: reason for name in differing if (reason := _reason(name, case, value, differing))}
    figures = json.loads(row.figures)
    fit = [figures["all"]["shared"], figures["all"]["collectable"]] == [row.numerator, row.denominator]
    if not fit or (sealed and not differing and _figures(figures) != _figures(value.figures)):
        return Verdict(Outcome.DIFFERS, [FIGURES], found)
    left = [_DIFFERENT[name] for name in differing if name not in explained]
    if not sealed and _DIFFERENT["receipts"] not in left:
        left.append(_DIFFERENT["receipts"])
    if left:
        return Verdict(Outcome.DIFFERS, left, found)
    reasons = list(dict.fromkeys(explained.values()))
    return Verdict(Outcome.EXPLAINED if explained else Outcome.SAME, reasons, found)


class _Case(NamedTuple):
    """A value that is judged; `head` is the last receipt that there was."""

    db: Database
    library: Library
    publication: "SharingPublication"
    row: Stored
    inputs: Mapping[str, Any]
    head: int

    def again(self, looked_us: int | None = None) -> "Draft":
        """The value worked out now, perhaps with the states of devices as known at another time."""
        default_us = self.inputs["default_timeout_us"]
        return self.publication.draft(self.row.at_us, self.row.known_us, self.head, default_us, looked_us)


def _reason(name: str, case: _Case, value: PublishedValue, differing: list[str]) -> Reason | None:
    """Because of what, that the product did itself, a section may differ; None if of nothing."""
    changes = value.inputs["registry_version"] - case.inputs.get("registry_version", 0)
    if name == "registry" and changes > 0:
        return registry_changed(changes)
    if name == "catalogue":
        return DECIDED_THEN if _became_visible_late(case) else None
    return _of_states(case, changes if "registry" in differing else 0) if name == "states" else None


def _of_states(case: _Case, changes: int) -> Reason | None:
    if case.inputs.get("waiting"):
        return waited(case.inputs["waiting"])
    if changes > 0:
        return registry_changed(changes)
    if case.inputs["default_timeout_us"] != case.library.default_timeout_us:
        return DEFAULT_CHANGED
    with case.db.read() as connection:
        made_us = _decisions(connection, case.row.known_us)
    said = case.inputs.get("states")
    return DECIDED_THEN if any(case.again(at - 1).value.inputs["states"] == said for at in made_us) else None


def _are_sealed(connection: Connection, parts: Iterable[Acknowledged]) -> bool:
    """Whether the receipts, which are chained, say the same as the parts that were looked up."""
    every = list(parts)
    whole = receipts.numbered(connection, {one.number for one in every})
    return all(
        (receipt := whole.get(one.number)) is not None
        and one.part in receipt.parts
        and (one.outlet, one.delivery) == (receipt.outlet, receipt.delivery)
        and (one.acknowledged_us, one.recorded_us) == (receipt.acknowledged_us, receipt.recorded_us)
        for one in every
    )


def _decisions(connection: Connection, known_us: int) -> list[int]:
    """When people decided on coverage or maintenance just before that, the latest first."""
    said = [at for _, blind in coverage.entries(connection) for at in (blind.recorded, blind.revoked)]
    said += [at for window in maintenance.entries(connection) for at in (window.recorded, window.cancelled)]
    return sorted({at for at in said if known_us - LATE_US < at <= known_us}, reverse=True)


def _became_visible_late(case: _Case) -> bool:
    """Whether it is the catalogue without what was said of it just before."""
    with case.db.read() as connection:
        versions = catalogue.load(connection)
    at_us, known_us = case.row.at_us, case.row.known_us
    late = {
        version.recorded_us
        for name in versions.ids()
        for version in versions.history(name)
        if known_us - LATE_US < version.recorded_us <= known_us
    }
    said = case.inputs.get("catalogue")
    return any(sharing_inputs.catalogue(versions.in_force(at_us, at - 1)) == said for at in late)


def _figures(members: Mapping[str, Any]) -> dict[str, Any]:
    """Figures without communities that have no device in service: one registered later is among them now."""
    own = {name: part for name, part in members["by_community"].items() if part["collectable"]}
    return {"all": members["all"], "by_community": own}


_DIFFERENT = {
    name: Reason(name, f"{en} differ from what they were then", f"{zh}与当时不同")
    for name, en, zh in (
        ("catalogue", "kinds of data in force (catalogue)", "生效的数据种类（目录）"),
        ("registry", "devices in service (registry)", "在用设备（登记册）"),
        ("receipts", "receipts of departments", "部门回执"),
        ("states", "states of devices that watch quiet kinds", "无事数据种类的设备状态"),
    )
}

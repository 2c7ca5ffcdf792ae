"""Reports of departments as the API and the command line give them."""

from collections.abc import Iterable
from typing import Any

from pulse.access.reconciliation import Again
from pulse.clock import to_iso
from pulse.sharing.deliveries import identifier
from pulse.sharing.reconciling import Difference, Holding
from pulse.stores.relational.reports import Report


def shown(report: Report) -> dict[str, Any]:
    """A report with both sides."""
    return {
        "outlet": report.outlet,
        "day": report.day,
        "through": None if report.through is None else identifier(report.outlet, report.through),
        "recorded_at": to_iso(report.recorded_us),
        "said_by": report.said_by,
        "agrees": report.agrees(),
        "kinds": sides(report.differences()),
    }


def sides(differences: Iterable[Difference]) -> list[dict[str, Any]]:
    """Both sides of each kind, and what they say of each other."""
    return [
        {
            "data_kind": found.data_kind,
            "ours": _holding(found.ours),
            "theirs": _holding(found.theirs),
            "verdict": str(found.verdict),
        }
        for found in differences
    ]


def made_again(outlet: str, day: str, again: Again) -> dict[str, Any]:
    """What was delivered again."""
    return {
        "outlet": outlet,
        "day": day,
        "records": again.records,
        "deliveries": [{"id": name, "again_of": list(of)} for name, of in again.made.items()],
        "gone": again.gone,
        "left": again.left,
    }


def _holding(holding: Holding) -> dict[str, Any]:
    return {"count": holding.records, "digest": holding.digest}

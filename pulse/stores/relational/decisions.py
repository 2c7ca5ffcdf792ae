"""What waits for a second person, as its rows have it: since when it counts, and who decided what."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Table

from pulse.ledger.model import FOREVER
from pulse.stores.relational.incidents import Decision
from pulse.stores.relational.values import from_null, to_null

PENDING, RECORDED, REFUSED, CANCELLED = "pending", "recorded", "refused", "cancelled"
STATUSES = (PENDING, RECORDED, REFUSED, CANCELLED)


class Decisions(NamedTuple):
    """`known_us` is since when it counts: `FOREVER` where it was not approved and had to be."""

    known_us: int = FOREVER
    approved: Decision | None = None
    refused: Decision | None = None
    cancelled: Decision | None = None

    @property
    def status(self) -> str:
        """One of `STATUSES`; the last decision counts."""
        if self.cancelled is not None:
            return CANCELLED
        if self.refused is not None:
            return REFUSED
        return PENDING if self.known_us == FOREVER else RECORDED

    @property
    def last(self) -> Decision | None:
        """The newest decision."""
        made = [d for d in (self.approved, self.refused, self.cancelled) if d is not None]
        return max(made, key=lambda decision: decision.at_us, default=None)

    def columns(self) -> dict[str, object]:
        """The decisions as values of their columns."""
        approved, refused, cancelled = self.approved, self.refused, self.cancelled
        return {
            "known_us": to_null(self.known_us),
            "approved_us": None if approved is None else approved.at_us,
            "approved_by": None if approved is None else approved.by,
            "refused_us": None if refused is None else refused.at_us,
            "refused_by": None if refused is None else refused.by,
            "refuse_reason": None if refused is None else refused.reason,
            "cancelled_us": None if cancelled is None else cancelled.at_us,
            "cancelled_by": None if cancelled is None else cancelled.by,
            "cancel_reason": None if cancelled is None else cancelled.reason,
        }


def of_row(row: Row[Any]) -> Decisions:
    """The decisions of a row."""
    return Decisions(
        from_null(row.known_us),
        _decision(row.approved_us, row.approved_by, ""),
        _decision(row.refused_us, row.refused_by, row.refuse_reason),
        _decision(row.cancelled_us, row.cancelled_by, row.cancel_reason),
    )


def conditions(table: Table, status: str) -> list[ColumnElement[bool]]:
    """What is true of the rows of a status."""
    own = table.c
    if status == CANCELLED:
        return [own.cancelled_us.is_not(None)]
    if status == REFUSED:
        return [own.cancelled_us.is_(None), own.refused_us.is_not(None)]
    counts = own.known_us.is_not(None) if status == RECORDED else own.known_us.is_(None)
    return [own.cancelled_us.is_(None), own.refused_us.is_(None), counts]


def _decision(at_us: int | None, by: str | None, reason: str | None) -> Decision | None:
    return None if at_us is None else Decision(at_us, by or "", reason or "")

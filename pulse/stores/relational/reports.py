"""What departments reported that they hold of a day: appended to, the newest one of a day counts."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, func, insert, select

from pulse.sharing.reconciling import Difference, Holding, Verdict, add, compare
from pulse.stores.relational.deliveries import ACKNOWLEDGED
from pulse.stores.relational.tables import deliveries
from pulse.stores.relational.tables import delivery_days as days
from pulse.stores.relational.tables import sharing_reports as table


class Report(NamedTuple):
    """A department's report of one local day, and what we held against it then, both by kind of data.

    `through` is the number of the last delivery that the department has, up to which both sides are
    compared; None where it did not say: then everything that was acknowledged by `recorded_us` is.
    """

    outlet: str
    day: str
    through: int | None
    recorded_us: int
    said_by: str
    theirs: Mapping[str, Holding]
    ours: Mapping[str, Holding]
    number: int = 0

    def differences(self) -> list[Difference]:
        """Both sides of every kind that either holds."""
        return compare(self._keyed(self.ours), self._keyed(self.theirs))

    def agrees(self) -> bool:
        """Whether both sides hold the same."""
        return all(found.verdict is Verdict.SAME for found in self.differences())

    def _keyed(self, holdings: Mapping[str, Holding]) -> dict[tuple[str, str], Holding]:
        return {(data_kind, self.day): holding for data_kind, holding in holdings.items()}


def ours(connection: Connection, outlet: str, day: str, through: int | None) -> dict[str, Holding]:
    """What we delivered of a day, by kind of data: up to the delivery `through`, or all that is acknowledged.

    A delivery that was made again counts once, under its first number.
    """
    query = select(days.c.data_kind, days.c.count, days.c.digest).where(
        days.c.outlet == outlet, days.c.day == day
    )
    if through is not None:
        query = query.where(days.c.delivery <= through)
    else:
        query = query.join(
            deliveries,
            (deliveries.c.outlet == days.c.outlet) & (deliveries.c.number == days.c.delivery),
        ).where(deliveries.c.state == ACKNOWLEDGED)
    found: dict[str, list[Holding]] = {}
    for data_kind, records, digest in connection.execute(query):
        found.setdefault(data_kind, []).append(Holding(records, digest))
    return {data_kind: add(*holdings) for data_kind, holdings in sorted(found.items())}


def append(connection: Connection, report: Report) -> Report:
    """Store a report, and give it back with its number."""
    row = {
        **report._asdict(),
        "theirs": _text(report.theirs),
        "ours": _text(report.ours),
    }
    del row["number"]
    number = connection.execute(insert(table).values(row).returning(table.c.number)).scalar_one()
    return report._replace(number=number)


def newest(connection: Connection, outlet: str, day: str) -> Report | None:
    """The last report of a day, None where there is none."""
    row = connection.execute(
        select(table)
        .where(table.c.outlet == outlet, table.c.day == day)
        .order_by(table.c.number.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _report(row)


def listing(connection: Connection, outlets: Iterable[str] | None = None, *, limit: int = 31) -> list[Report]:
    """The last report of each outlet and day, the latest days first; of these outlets only, where given."""
    last = select(func.max(table.c.number)).group_by(table.c.outlet, table.c.day)
    if outlets is not None:
        last = last.where(table.c.outlet.in_(sorted(outlets)))
    query = (
        select(table)
        .where(table.c.number.in_(last))
        .order_by(table.c.day.desc(), table.c.outlet)
        .limit(limit)
    )
    return [_report(row) for row in connection.execute(query)]


def _text(holdings: Mapping[str, Holding]) -> str:
    found = {kind: list(holding) for kind, holding in holdings.items()}
    return msgspec.json.encode(found, order="sorted").decode()


def _report(row: Row[Any]) -> Report:
    theirs, ours = (msgspec.json.decode(text, type=dict[str, Holding]) for text in (row.theirs, row.ours))
    return Report(**{**row._asdict(), "theirs": theirs, "ours": ours})

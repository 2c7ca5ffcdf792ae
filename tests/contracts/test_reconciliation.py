"""Both sides of a day, and what is delivered again, on every relational back end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pulse.access import reconciliation
from pulse.access.roles import command_line
from pulse.clock import DAY_US, parse_time
from pulse.errors import BadInput, NotFound
from pulse.sharing.deliveries import Item, make, parse
from pulse.sharing.outlets import Outlet, Version
from pulse.sharing.reconciling import Holding, Verdict, of_ids
from pulse.stores.relational import audit, deliveries, outlets, repeats, reports
from pulse.stores.relational.database import Database
from pulse.stores.relational.outlets import Position
from tests import servers
from tests.stores.relational.backends import BACKENDS, empty_url, opened

T = parse_time("2026-11-23T02:00:00Z", "T")
DAY = "2026-11-23"
ZONE = ZoneInfo("Asia/Shanghai")
CLI = command_line("root", "host")
FIRE = Outlet(id="fire", mode="http", url="https://fire.example/", most_records=3)


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with opened(empty_url(request, tmp_path)) as database:
        with database.write() as connection:
            outlets.append(connection, Version("fire", T, FIRE))
            outlets.begin(connection, Position("fire", 0, T, T))
        yield database


def ids(*numbers: int) -> list[str]:
    return [f"{number:016x}" for number in numbers]


def item(number: int, data_kind: str = "gas_reading", at_us: int = T) -> Item:
    return Item(f"{number:016x}", data_kind, "xinjinglou", "gas-1", "gas_alarm", at_us, at_us, {"n": number})


def deliver(db: Database, number: int, *items: Item, acknowledged: bool = True) -> None:
    """What an outlet does with records."""
    with db.write() as connection:
        position = outlets.position_of(connection, "fire")
        assert position is not None
        deliveries.add(connection, "fire", "json", make(FIRE, number, items, (), T, ZONE), T)
        assert outlets.move(connection, position, position._replace(number=number))
        if acknowledged:
            assert deliveries.acknowledged(connection, "fire", number, T + number)


def reported(
    db: Database, through: str | None, held: dict[str, Sequence[str]], day: str = DAY
) -> reports.Report:
    with db.write() as connection:
        theirs = {kind: of_ids(some) for kind, some in held.items()}
        return reconciliation.report(connection, CLI, "fire", day, through, theirs, T + 100, ZONE)


def verdicts(report: reports.Report) -> dict[str, Verdict]:
    return {found.data_kind: found.verdict for found in report.differences()}


def again(db: Database, data_kinds: Sequence[str] | None = None, day: str = DAY) -> reconciliation.Again:
    with db.write() as connection:
        return reconciliation.deliver_again(connection, CLI, "fire", day, data_kinds, T + 200, ZONE)


def test_a_department_that_holds_what_it_acknowledged_agrees(db: Database) -> None:
    deliver(db, 1, item(1), item(2), item(3, "lock_status"))
    deliver(db, 2, item(4))
    report = reported(db, "fire-2", {"gas_reading": ids(1, 2, 4), "lock_status": ids(3)})
    assert report.agrees()
    assert report.ours == {"gas_reading": of_ids(ids(1, 2, 4)), "lock_status": of_ids(ids(3))}
    with db.read() as connection:
        assert reports.newest(connection, "fire", DAY) == report


def test_both_sides_are_compared_up_to_the_last_delivery_that_the_department_has(db: Database) -> None:
    """Whatever is on its way makes no difference: neither what waits nor what came after its report."""
    deliver(db, 1, item(1))
    deliver(db, 2, item(2), acknowledged=False)
    deliver(db, 3, item(3), acknowledged=False)
    assert reported(db, "fire-1", {"gas_reading": ids(1)}).agrees()
    # Kept, and its acknowledgement was lost.
    assert reported(db, "fire-2", {"gas_reading": ids(1, 2)}).agrees()


def test_without_a_last_delivery_everything_acknowledged_is_compared(db: Database) -> None:
    deliver(db, 1, item(1))
    deliver(db, 2, item(2), acknowledged=False)
    assert reported(db, None, {"gas_reading": ids(1)}).agrees()


def test_every_way_to_differ_is_told(db: Database) -> None:
    deliver(db, 1, item(1), item(2), item(3, "lock_status"), item(4, "flow_reading"))
    report = reported(db, "fire-1", {"gas_reading": ids(1), "lock_status": ids(3), "sorting_record": ids(9)})
    assert not report.agrees()
    assert verdicts(report) == {
        "flow_reading": Verdict.MISSING_THERE,
        "gas_reading": Verdict.DIFFERS,
        "lock_status": Verdict.SAME,
        "sorting_record": Verdict.MISSING_HERE,
    }


def test_records_of_other_days_are_not_counted(db: Database) -> None:
    deliver(db, 1, item(1), item(2, at_us=T - DAY_US))
    assert reported(db, "fire-1", {"gas_reading": ids(1)}).agrees()
    assert reported(db, "fire-1", {"gas_reading": ids(2)}, day="2026-11-22").agrees()


def test_the_last_report_of_each_day_is_listed_the_latest_day_first(db: Database) -> None:
    deliver(db, 1, item(1), item(2, at_us=T - DAY_US))
    reported(db, "fire-1", {})
    first = reported(db, "fire-1", {"gas_reading": ids(1)})
    second = reported(db, "fire-1", {"gas_reading": ids(2)}, day="2026-11-22")
    with db.read() as connection:
        assert reports.listing(connection) == [first, second]
        assert reports.listing(connection, ["water"]) == []
        assert reports.listing(connection, ["fire"], limit=1) == [first]


def test_what_the_department_lacks_is_delivered_again_under_new_ids(db: Database) -> None:
    deliver(db, 1, item(1), item(2), item(3, "lock_status"))
    deliver(db, 2, item(4), item(5, at_us=T - DAY_US))
    reported(db, "fire-2", {"gas_reading": ids(1), "lock_status": ids(3)})
    found = again(db)
    assert found == reconciliation.Again({"fire-3": ["fire-1", "fire-2"]}, 3, 0, 0)
    with db.read() as connection:
        content = deliveries.content(connection, "fire", 3)
        stored = deliveries.one(connection, "fire", 3)
        assert repeats.of(connection, "fire", [1, 2, 3]) == {3: [1, 2]}
        entry = list(audit.walk(connection))[-1]
    assert content is not None
    assert stored is not None
    items, _ = parse(content, "json")
    assert [one.id for one in items] == ids(1, 2, 4)
    assert items[0] == item(1)
    assert (stored.state, stored.records) == (deliveries.WAITING, 3)
    assert entry.action == "outlet.deliver_again"


def test_after_it_came_again_both_sides_agree(db: Database) -> None:
    """It is counted under its first number alone, there and here."""
    deliver(db, 1, item(1), item(2))
    reported(db, "fire-1", {"gas_reading": ids(1)})
    again(db)
    with db.write() as connection:
        deliveries.acknowledged(connection, "fire", 2, T + 300)
    assert reported(db, "fire-2", {"gas_reading": ids(1, 2)}).agrees()
    with pytest.raises(BadInput, match="lacks nothing"):
        again(db)


def test_many_records_are_spread_over_deliveries_as_large_as_the_outlet_takes(db: Database) -> None:
    for number in range(1, 6):
        deliver(db, number, item(2 * number), item(2 * number + 1))
    found = again(db, ["gas_reading"])
    assert list(found.made) == ["fire-6", "fire-7", "fire-8", "fire-9"]
    assert found.records == 10
    with db.read() as connection:
        position = outlets.position_of(connection, "fire")
    assert position is not None
    assert position.number == 9


def test_content_that_is_kept_no_longer_is_told_of(db: Database) -> None:
    deliver(db, 1, item(1))
    deliver(db, 2, item(2))
    with db.write() as connection:
        deliveries.trim(connection, T + 2)
    found = again(db, ["gas_reading"])
    assert (found.made, found.records, found.gone) == ({"fire-3": ["fire-2"]}, 1, 1)


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (("fire-9", DAY), "through"),
        (("water-1", DAY), "through"),
        (("fire-0", DAY), "through"),
        (("fire-1", "2026-11-26"), "day"),
    ],
)
def test_a_report_that_cannot_be_is_refused(db: Database, asked: tuple[str, str], place: str) -> None:
    deliver(db, 1, item(1))
    with pytest.raises(BadInput) as refused:
        reported(db, asked[0], {}, day=asked[1])
    assert refused.value.where == place


def test_without_a_report_nobody_knows_what_is_lacking(db: Database) -> None:
    deliver(db, 1, item(1))
    with pytest.raises(BadInput, match="no report"):
        again(db)
    with db.read() as connection:
        last, found = reconciliation.standing(connection, "fire", DAY)
    assert last is None
    assert [(one.ours, one.theirs) for one in found] == [(of_ids(ids(1)), Holding(0, "0" * 64))]


def test_an_outlet_that_there_is_not_has_no_reports(db: Database) -> None:
    with pytest.raises(NotFound), db.write() as connection:
        reconciliation.report(connection, CLI, "water", DAY, None, {}, T, ZONE)


def test_a_kind_that_was_never_delivered_cannot_come_again(db: Database) -> None:
    deliver(db, 1, item(1))
    with pytest.raises(BadInput, match="data_kinds"):
        again(db, ["lock_status"])

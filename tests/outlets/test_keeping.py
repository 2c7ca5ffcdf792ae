"""Retention: contents of deliveries go after their receipts, and no record without a word."""

from api.jobs.retention import retain
from api.outlets import keeping
from pulse.clock import DAY_US
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import deletions, deliveries, outlets
from tests.outlets.house import GO_ON, House

GAS = Outlet(id="gas", mode="pull", data_kinds=("gas_reading",))
POLICE = Outlet(id="police", mode="pull", data_kinds=("perimeter_event",))


def noted(house: House) -> dict[str, int]:
    with house.db.read() as connection:
        return {entry.what: entry.deleted for entry in deletions.recent(connection)}


def test_records_that_an_outlet_had_are_deleted_without_more_ado(house: House) -> None:
    house.put(GAS)
    house.hear(house.record(), house.record())
    house.build(GAS)
    house.hear(after_s=31 * 86_400)
    retain(house.context, GO_ON)
    assert noted(house)["records"] == 2
    assert f"{keeping.UNDELIVERED}:gas" not in noted(house)


def test_records_that_no_delivery_has_are_noted_before_they_are_deleted(house: House) -> None:
    house.put(GAS)
    house.hear(*(house.record() for _ in range(3)), house.record("door-1", "access_event"))
    house.hear(after_s=31 * 86_400)
    house.hear(house.record())
    retain(house.context, GO_ON)
    assert noted(house)[f"{keeping.UNDELIVERED}:gas"] == 3
    with house.db.read() as connection:
        position = outlets.position_of(connection, "gas")
    assert position is not None
    assert position.withheld == {"gas_reading/deleted": 3}
    assert house.build(GAS) == [1]
    assert house.deliveries("gas")[0].records == 1
    retain(house.context, GO_ON)
    assert noted(house)[f"{keeping.UNDELIVERED}:gas"] == 3, "once"


def test_no_quiet_is_stated_of_a_time_whose_records_are_gone(house: House) -> None:
    house.put(POLICE)
    house.hear(house.record("fence-1", "perimeter_event"))
    house.hear(after_s=31 * 86_400)
    retain(house.context, GO_ON)
    house.build(POLICE)
    (part,) = house.deliveries("police")[0].parts
    assert part.quiet_from_us == house.clock.now - 30 * DAY_US
    assert part.quiet_until_us == house.clock.now


def test_contents_stay_for_some_days_after_their_receipt(house: House) -> None:
    house.put(GAS)
    house.hear(house.record())
    house.build(GAS)
    with house.db.write() as connection:
        deliveries.acknowledged(connection, "gas", 1, house.clock.now)
    house.clock.now += 7 * DAY_US
    keeping.trim(house.context, house.clock.now)
    assert house.content("gas", 1)
    house.clock.now += 1
    keeping.trim(house.context, house.clock.now)
    assert noted(house)[keeping.CONTENTS] == 1
    with house.db.read() as connection:
        assert deliveries.content(connection, "gas", 1) is None
        assert deliveries.one(connection, "gas", 1) is not None


def test_what_waits_is_never_forgotten(house: House) -> None:
    house.put(GAS)
    house.hear(house.record())
    house.build(GAS)
    house.hear(after_s=400 * 86_400)
    retain(house.context, GO_ON)
    assert house.content("gas", 1)

"""From stored records to deliveries: nothing left out, nothing twice, nothing that must not leave."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.outlets import outbox
from pulse.clock import HOUR_US
from pulse.errors import StoreUnavailable
from pulse.sharing.outlets import Outlet
from pulse.sharing.receipts import Part
from pulse.stores.relational import deliveries, outlets, registry
from tests.api.site import T0
from tests.outlets.house import House

ALL = Outlet(id="street", mode="pull")
GAS = Outlet(id="gas", mode="pull", data_kinds=("gas_reading",))


def ids(house: House, outlet: str) -> list[str]:
    """Of all records in all deliveries."""
    return [
        record["id"]
        for stored in house.deliveries(outlet)
        for record in json.loads(house.content(outlet, stored.number))["records"]
    ]


def test_what_was_stored_before_an_outlet_began_is_not_for_it(house: House) -> None:
    house.hear(house.record())
    house.put(GAS)
    house.hear(house.record())
    assert house.build(GAS) == [1]
    assert ids(house, "gas") == ["0000000000000002"]


def test_records_are_delivered_once_in_the_order_of_their_reception(house: House) -> None:
    house.put(GAS)
    for _ in range(3):
        house.hear(*(house.record() for _ in range(5)))
        house.build(GAS)
    assert ids(house, "gas") == [f"{n:016x}" for n in range(1, 16)]
    assert [stored.number for stored in house.deliveries("gas")] == [1, 2, 3]
    assert house.build(GAS) == []


def test_a_delivery_has_no_more_records_than_the_outlet_says(house: House) -> None:
    outlet = house.put(Outlet(id="gas", mode="pull", data_kinds=("gas_reading",), most_records=4))
    house.hear(*(house.record() for _ in range(10)))
    assert house.build(outlet) == [1, 2, 3]
    assert [stored.records for stored in house.deliveries("gas")] == [4, 4, 2]
    assert len(set(ids(house, "gas"))) == 10


def test_other_kinds_and_communities_are_passed_over(house: House) -> None:
    outlet = house.put(Outlet(id="gas", mode="pull", data_kinds=("gas_reading",), communities=("yiminyuan",)))
    house.hear(house.record("gas-1"), house.record("door-1", "access_event"), house.record("gas-2"))
    house.build(outlet)
    assert ids(house, "gas") == ["0000000000000003"]


def test_what_is_not_stored_for_sure_is_not_read(house: House) -> None:
    house.put(GAS)
    house.hear(house.record())
    house.store.write_records([house.record()])
    house.build(GAS)
    assert ids(house, "gas") == ["0000000000000001"]
    house.hear()
    house.build(GAS)
    assert ids(house, "gas") == ["0000000000000001", "0000000000000002"]


def test_devices_that_are_not_in_service_share_nothing(house: House) -> None:
    house.put(GAS)
    house.hear(*(house.record(device) for device in ("gas-1", "gas-new", "gas-old", "nobody")))
    house.build(GAS)
    assert ids(house, "gas") == ["0000000000000001"]
    with house.db.read() as connection:
        position = outlets.position_of(connection, "gas")
    assert position is not None
    assert position.withheld == {"gas_reading/not_in_service": 3}


def test_a_device_that_is_commissioned_shares_from_then_on(house: House) -> None:
    house.put(GAS)
    house.hear(house.record("gas-new"))
    assert house.build(GAS) == []
    with house.db.write() as connection:
        device = registry.device(connection, "gas-new")
        assert device is not None
        registry.put_devices(connection, [device._replace(commissioned_us=house.clock.now)], house.clock.now)
    house.hear(house.record("gas-new", at_us=house.clock.now))
    assert house.build(GAS) == [1]


def test_personal_fields_leave_masked(house: House) -> None:
    house.put(ALL)
    house.hear(house.record("door-1", "access_event"))
    house.build(ALL)
    (record,) = json.loads(house.content("street", 1))["records"]
    assert record["data"]["holder"] == "王*明"
    assert len(record["data"]["card"]) == 32
    assert "Q7Q7Q7Q7" not in house.content("street", 1).decode()


def test_a_quiet_kind_is_told_of_without_a_gap(house: House) -> None:
    outlet = house.put(Outlet(id="police", mode="pull", data_kinds=("perimeter_event",)))
    begun_us = house.clock.now
    for _ in range(3):
        house.hear(after_s=60)
        assert len(house.build(outlet)) == 1
    house.hear(house.record("fence-1", "perimeter_event"), after_s=60)
    house.build(outlet)
    parts = [stored.parts for stored in house.deliveries("police")]
    edges = [(part.quiet_from_us, part.quiet_until_us) for (part,) in parts]
    assert edges[0][0] == begun_us
    assert edges[-1][1] == house.clock.now
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert [part.count for (part,) in parts] == [0, 0, 0, 1]
    # Only where a source is in service: the other community has no fence.
    assert {part.community for (part,) in parts} == {"xinjinglou"}


def test_quiet_is_told_several_times_within_a_freshness_and_not_at_every_look(house: House) -> None:
    outlet = house.put(Outlet(id="police", mode="pull", data_kinds=("perimeter_event",)))
    made = 0
    for _ in range(12):
        house.hear(after_s=600)
        made += len(house.build(outlet, at_once=False))
    assert made == 2, "an hour apart, for a freshness of a day"


def test_nothing_is_said_of_a_time_that_nobody_knows(house: House) -> None:
    """The collector stands still: its mark does."""
    outlet = house.put(Outlet(id="police", mode="pull", data_kinds=("perimeter_event",)))
    house.hear(after_s=60)
    house.build(outlet)
    house.clock.now += 10 * HOUR_US
    assert house.build(outlet) == []
    assert house.build(outlet, at_once=False) == []


def test_deliveries_at_once_keep_a_pace(house: House) -> None:
    house.put(GAS)
    made = []
    for _ in range(12):
        house.hear(house.record(), after_s=1)
        made += house.build(GAS, at_once=False)
    assert made == [1, 2, 3]
    house.hear(after_s=5)
    house.build(GAS, at_once=False)
    assert len(ids(house, "gas")) == 12


def test_too_much_that_waits_stops_the_making_and_says_so(tmp_path: Path) -> None:
    with House(tmp_path, outbox_max_bytes=1_000_000) as house:
        house.put(GAS)
        body = b'{"lel_pct":1.5,"alarm":"' + b"x" * 60_000 + b'"}'
        for _ in range(4):
            house.hear(*(house.record(body=body) for _ in range(10)))
            house.build(GAS)
        with house.db.read() as connection:
            position = outlets.position_of(connection, "gas")
            waiting = deliveries.outstanding(connection)["gas"]
        assert position is not None
        assert position.stuck == outbox.FULL
        assert waiting.records < 40
        with house.db.write() as connection:
            for stored in house.deliveries("gas"):
                deliveries.acknowledged(connection, "gas", stored.number, house.clock.now)
        while house.build(GAS):
            with house.db.write() as connection:
                for stored in house.deliveries("gas"):
                    deliveries.acknowledged(connection, "gas", stored.number, house.clock.now)
        assert ids(house, "gas") == [f"{n:016x}" for n in range(1, 41)], "nothing was lost"
        with house.db.read() as connection:
            position = outlets.position_of(connection, "gas")
        assert position is not None
        assert position.stuck is None


def test_a_masking_key_that_others_can_read_stops_the_making(house: House) -> None:
    house.put(ALL)
    house.keys.masking()
    (house.keys.folder / "masking.key").chmod(0o644)
    house.hear(house.record("door-1", "access_event"))
    assert house.outbox.build(ALL, at_once=True).stuck == outbox.MASKING_KEY
    (house.keys.folder / "masking.key").chmod(0o600)
    assert house.build(ALL) == [1]


def test_two_that_build_at_once_make_each_delivery_once(house: House) -> None:
    house.put(GAS)
    house.hear(house.record())
    other = outbox.Outbox(house.context)
    read = house.store.read_records

    def slowly(*args: object, **kwargs: object) -> object:
        found = read(*args, **kwargs)  # type: ignore[arg-type]
        house.store.read_records = read  # type: ignore[method-assign]
        assert other.build(GAS, at_once=True).made == 1
        return found

    house.store.read_records = slowly  # type: ignore[method-assign, assignment]
    assert house.outbox.build(GAS, at_once=True).made is None
    assert ids(house, "gas") == ["0000000000000001"]


def test_a_store_that_is_away_leaves_everything_as_it_was(house: House) -> None:
    house.put(GAS)
    house.hear(house.record())
    read = house.store.read_records

    def away(*_args: object, **_kwargs: object) -> object:
        raise StoreUnavailable("away")

    house.store.read_records = away  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable):
        house.build(GAS)
    house.store.read_records = read  # type: ignore[method-assign]
    assert house.build(GAS) == [1]


def test_the_sums_by_day_are_kept_with_the_delivery(house: House) -> None:
    house.put(GAS)
    house.hear(house.record(), house.record())
    house.build(GAS)
    with house.db.read() as connection:
        (day,) = deliveries.days_of(connection, "gas", 1)
    assert (day.data_kind, day.day, day.records) == ("gas_reading", "2026-11-23", 2)
    at_us = T0 - 50_000
    assert house.deliveries("gas")[0].parts == (
        Part(data_kind="gas_reading", community="xinjinglou", count=2, first_us=at_us, last_us=at_us),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=8), st.integers(1, 5))
def test_whatever_is_heard_and_whenever_is_built_every_record_leaves_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, bool]], most: int
) -> None:
    with House(tmp_path_factory.mktemp("house")) as house:
        outlet = house.put(Outlet(id="gas", mode="pull", data_kinds=("gas_reading",), most_records=most))
        heard = []
        for count, builds, again in steps:
            records = [house.record(*(["gas-2"] if n % 2 else [])) for n in range(count)]
            heard += [f"{record.identity:016x}" for record in records]
            house.hear(*records, after_s=7)
            if again:
                house.outbox = outbox.Outbox(house.context)
            if builds:
                house.build(outlet, at_once=again)
        house.hear(after_s=7)
        house.build(outlet)
        assert ids(house, "gas") == heard
        assert all(stored.records <= most for stored in house.deliveries("gas"))

"""From records to what is delivered."""

import hashlib
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.clock import HOUR_US, SECOND_US
from pulse.messages import Record
from pulse.sharing import catalogue_file, deliveries
from pulse.sharing.deliveries import Item, Quiet
from pulse.sharing.outlets import Format, Outlet
from pulse.sharing.receipts import Part

T = 1_795_392_000_000_000
"""2026-11-23T00:00:00Z, which is eight in the morning in Shanghai."""
KEY = b"k" * 32
ZONE = ZoneInfo("Asia/Shanghai")
KINDS = {kind.id: kind for kind in catalogue_file.default()}


def record(order: int = 1, /, **changes: Any) -> Record:
    members: dict[str, Any] = {
        "device": "gas-1",
        "community": "xinjinglou",
        "kind": "gas_alarm",
        "data_kind": "gas_reading",
        "observed_us": T + order,
        "measured_us": T,
        "at_us": T,
        "queued": False,
        "identity": order,
        "body": b'{"lel_pct":1.5,"alarm":"none"}',
        "order": order,
    }
    return Record(**(members | changes))


def outlet(**changes: Any) -> Outlet:
    return Outlet(**({"id": "fire", "mode": "pull"} | changes))


def take(*records: Record, of: Outlet | None = None, **others: Any) -> deliveries.Taken:
    return deliveries.take(records, of or outlet(), KINDS, lambda _device, _at: True, KEY, **others)


def test_the_json_body_is_the_agreed_one() -> None:
    taken = take(record(), record(2, at_us=None))
    quiet = [Quiet("perimeter_event", "xinjinglou", T, T + SECOND_US)]
    made = deliveries.make(outlet(), 17, taken.items, quiet, T + 5 * SECOND_US, ZONE)
    assert json.loads(made.content) == {
        "form": 1,
        "delivery": "fire-17",
        "outlet": "fire",
        "created": "2026-11-23T00:00:05Z",
        "records": [
            {
                "id": "0000000000000001",
                "data_kind": "gas_reading",
                "community": "xinjinglou",
                "device": "gas-1",
                "kind": "gas_alarm",
                "at": "2026-11-23T00:00:00Z",
                "received": "2026-11-23T00:00:00.000001Z",
                "data": {"lel_pct": 1.5, "alarm": "none"},
            },
            {
                "id": "0000000000000002",
                "data_kind": "gas_reading",
                "community": "xinjinglou",
                "device": "gas-1",
                "kind": "gas_alarm",
                "at": None,
                "received": "2026-11-23T00:00:00.000002Z",
                "data": {"lel_pct": 1.5, "alarm": "none"},
            },
        ],
        "quiet": [
            {
                "data_kind": "perimeter_event",
                "community": "xinjinglou",
                "from": "2026-11-23T00:00:00Z",
                "to": "2026-11-23T00:00:01Z",
            }
        ],
    }
    assert made.digest == hashlib.sha256(made.content).hexdigest()
    assert made.parts == (
        Part(data_kind="gas_reading", community="xinjinglou", count=2, first_us=T, last_us=T),
        Part(
            data_kind="perimeter_event",
            community="xinjinglou",
            count=0,
            quiet_from_us=T,
            quiet_until_us=T + SECOND_US,
        ),
    )


def test_csv_has_a_line_a_record_and_one_a_statement() -> None:
    taken = take(record(), record(2, at_us=None), of=outlet(format="csv"))
    quiet = [Quiet("perimeter_event", "xinjinglou", T, T + SECOND_US)]
    made = deliveries.make(outlet(format="csv"), 1, taken.items, quiet, T, ZONE)
    lines = made.content.decode().split("\r\n")
    assert lines == [
        "id,data_kind,community,device,kind,at,received,data",
        "0000000000000001,gas_reading,xinjinglou,gas-1,gas_alarm,2026-11-23T00:00:00Z,"
        '2026-11-23T00:00:00.000001Z,"{""lel_pct"":1.5,""alarm"":""none""}"',
        "0000000000000002,gas_reading,xinjinglou,gas-1,gas_alarm,,"
        '2026-11-23T00:00:00.000002Z,"{""lel_pct"":1.5,""alarm"":""none""}"',
        "quiet,perimeter_event,xinjinglou,,,2026-11-23T00:00:01Z,2026-11-23T00:00:00Z,",
        "",
    ]


_ITEMS = st.builds(
    Item,
    st.integers(0, 2**63 - 1).map(lambda n: f"{n:016x}"),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["xinjinglou", "yiminyuan"]),
    st.just("gas-1"),
    st.just("gas_alarm"),
    st.none() | st.integers(T, T + 48 * HOUR_US),
    st.integers(T, T + 48 * HOUR_US),
    st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none(), max_size=3),
)


@given(st.lists(_ITEMS, max_size=5), st.sampled_from(["json", "csv"]))
def test_what_is_written_is_read_again(items: list[Item], form: Format) -> None:
    quiet = (Quiet("perimeter_event", "xinjinglou", T, T + 1),)
    content = deliveries.content_of(outlet(format=form), "fire-1", items, quiet, T)
    assert deliveries.parse(content, form) == (tuple(items), quiet)


@given(st.lists(_ITEMS, min_size=2, max_size=9))
def test_two_halves_say_what_the_whole_said(items: list[Item]) -> None:
    content = deliveries.content_of(outlet(), "fire-1", items, [], T)
    found = deliveries.halves(content, "json")
    assert found is not None
    first, second, _ = found
    assert (*first, *second) == tuple(items)
    whole = {(d.data_kind, d.day): (d.records, int(d.digest, 16)) for d in deliveries.days_of(items, ZONE)}
    parts: dict[tuple[str, str], tuple[int, int]] = {}
    for half in (first, second):
        for day in deliveries.days_of(half, ZONE):
            count, total = parts.get((day.data_kind, day.day), (0, 0))
            parts[day.data_kind, day.day] = (
                count + day.records,
                (total + int(day.digest, 16)) % 2**256,
            )
    assert parts == whole


def test_a_single_record_cannot_be_halved() -> None:
    content = deliveries.content_of(outlet(), "fire-1", take(record()).items, [], T)
    assert deliveries.halves(content, "json") is None


def test_the_day_is_the_local_one_of_the_measurement() -> None:
    evening = T + 16 * HOUR_US - 1
    items = take(record(1, at_us=evening), record(2, at_us=evening + 1), record(3, at_us=None)).items
    found = deliveries.days_of(items, ZONE)
    assert [(day.day, day.records) for day in found] == [("2026-11-23", 2), ("2026-11-24", 1)]
    alone = hashlib.sha256(b"0000000000000002").hexdigest()
    assert found[1].digest == alone


def test_devices_that_are_not_in_service_share_nothing_and_are_counted() -> None:
    records = [record(1), record(2, device="gas-2"), record(3)]
    taken = deliveries.take(records, outlet(), KINDS, lambda device, _at: device == "gas-1", KEY)
    assert [item.id[-1] for item in taken.items] == ["1", "3"]
    assert taken.withheld == {("gas_reading", deliveries.NOT_IN_SERVICE): 1}
    assert (taken.order, taken.whole) == (3, True)


def test_a_kind_that_left_the_catalogue_and_a_body_that_cannot_be_read_are_withheld() -> None:
    taken = take(record(1, data_kind="gone"), record(2, body=b"["), record(3, body=b"[]"))
    assert not taken.items
    assert taken.withheld == {
        ("gone", deliveries.NOT_IN_CATALOGUE): 1,
        ("gas_reading", deliveries.UNREADABLE): 2,
    }


def test_what_is_not_for_the_outlet_is_passed_over_without_being_counted() -> None:
    taken = take(record(1), record(2, community="yiminyuan"), of=outlet(communities=("yiminyuan",)))
    assert [item.community for item in taken.items] == ["yiminyuan"]
    assert not taken.withheld
    assert taken.order == 2


def test_a_full_delivery_ends_at_a_record_and_the_next_goes_on_there() -> None:
    records = [record(n) for n in range(1, 6)]
    taken = take(*records, most_bytes=500)
    assert (taken.order, taken.whole) == (len(taken.items), False)
    rest = take(*[r for r in records if taken.order is not None and r.order > taken.order])
    assert len(taken.items) + len(rest.items) == 5


def test_a_record_larger_than_a_delivery_is_delivered_alone() -> None:
    taken = take(record(1), record(2), most_bytes=1)
    assert (len(taken.items), taken.whole) == (1, False)


def test_quiet_is_told_where_a_source_is_in_service() -> None:
    sources = {"xinjinglou": {"perimeter_alarm"}, "yiminyuan": {"gas_alarm"}}
    assert deliveries.statements(outlet(), KINDS, sources, T, T + 1) == (
        Quiet("perimeter_event", "xinjinglou", T, T + 1),
    )
    assert not deliveries.statements(outlet(), KINDS, sources, T, T)
    for other in (outlet(data_kinds=("gas_reading",)), outlet(communities=("yiminyuan",))):
        assert not deliveries.statements(other, KINDS, sources, T, T + 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("fire-17", 17),
        ("fire-0", None),
        ("fire-017", None),
        ("gas-17", None),
        ("fire-", None),
        ("fire-x", None),
        ("fire-1٣", None),
        ("17", None),
        ("fire-" + "9" * 19, None),
        ("fire--1", None),
    ],
)
def test_the_number_of_a_delivery_is_read_strictly(text: str, number: int | None) -> None:
    assert deliveries.numbered("fire", text) == number

"""What is delivered again goes the way of every delivery, and is counted once."""

import json
from zoneinfo import ZoneInfo

from pulse.access import reconciliation
from pulse.access.roles import command_line
from pulse.sharing.reconciling import of_ids
from pulse.stores.relational import repeats, reports
from tests.outlets.department import Department, Received, Reply
from tests.outlets.house import House
from tests.outlets.test_http import outlet

DAY = "2026-11-23"
CLI = command_line("operator", "here")


def test_what_comes_again_and_is_too_large_is_halved_and_still_counted_once(
    house: House, fire: Department
) -> None:
    made = outlet(house, fire, data_kinds=("gas_reading",))
    house.hear(*(house.record() for _ in range(4)))
    house.build(made)
    house.drain(made)
    zone = ZoneInfo(house.context.settings.timezone)
    with house.db.write() as connection:
        again = reconciliation.deliver_again(
            connection, CLI, "fire", DAY, ["gas_reading"], house.clock.now, zone
        )
    assert again.made == {"fire-2": ["fire-1"]}

    def answer(got: Received) -> Reply:
        return Reply(413 if len(json.loads(got.body)["records"]) > 2 else 200)

    fire.answer = answer
    house.drain(made)
    states = {stored.id: (stored.state, stored.records) for stored in house.deliveries("fire")}
    assert states == {
        "fire-1": ("acknowledged", 4),
        "fire-2": ("split", 4),
        "fire-3": ("acknowledged", 2),
        "fire-4": ("acknowledged", 2),
    }
    ids = {one["id"] for got in fire.received for one in json.loads(got.body)["records"]}
    with house.db.read() as connection:
        assert reports.ours(connection, "fire", DAY, 4) == {"gas_reading": of_ids(sorted(ids))}
        assert repeats.of(connection, "fire", [3, 4]) == {3: [1], 4: [1]}
    assert len(ids) == 4


def test_a_report_lets_what_waits_be_tried_at_once(house: House, fire: Department) -> None:
    """Who reports is there, whatever the pause after the last failure."""
    made = outlet(house, fire, data_kinds=("gas_reading",))
    fire.answer = lambda _got: Reply(503)
    house.hear(house.record())
    house.build(made)
    house.drain(made)
    fire.answer = lambda _got: Reply(200)
    house.drain(made)
    assert [stored.state for stored in house.deliveries("fire")] == ["waiting"]
    zone = ZoneInfo(house.context.settings.timezone)
    with house.db.write() as connection:
        reconciliation.report(connection, CLI, "fire", DAY, None, {}, house.clock.now, zone)
    house.drain(made)
    assert [stored.state for stored in house.deliveries("fire")] == ["acknowledged"]

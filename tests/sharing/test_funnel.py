"""The funnel: how far records of each kind have come, and why they are stuck where they are."""

from typing import Any, NamedTuple

import pytest

from pulse.sharing import catalogue_file, funnel
from pulse.sharing.funnel import Row, State, Step
from pulse.sharing.outlets import Outlet
from pulse.sharing.receipts import Part

T = 1_795_392_000_000_000
KINDS = {kind.id: kind for kind in catalogue_file.default() if kind.id in {"gas_reading", "perimeter_event"}}
SOURCES = {"xinjinglou": {"gas_alarm", "perimeter_alarm"}, "yiminyuan": {"gas_alarm"}}


class Made(NamedTuple):
    outlet: str = "fire"
    parts: tuple[Part, ...] = ()
    state: str = "waiting"
    sent_us: int | None = None
    acknowledged_us: int | None = None
    error: str | None = None
    next_us: int = T
    id: str = "fire-1"


class Got(NamedTuple):
    data_kind: str
    community: str
    records: int
    last_us: int | None = T


def gas(count: int, community: str = "xinjinglou") -> Part:
    return Part(data_kind="gas_reading", community=community, count=count, first_us=T, last_us=T + count)


def outlet(**changes: Any) -> Outlet:
    return Outlet(
        **({"id": "fire", "mode": "http", "url": "https://x", "data_kinds": ("gas_reading",)} | changes)
    )


def row(*made: Made, of: Outlet | None = None, state: State | None = None, **changes: Any) -> Row:
    given: dict[str, Any] = {
        "kinds": {"gas_reading": KINDS["gas_reading"]},
        "sources": SOURCES,
        "collected": [Got("gas_reading", "xinjinglou", 9), Got("gas_reading", "yiminyuan", 1)],
    } | changes
    (found,) = funnel.rows([of or outlet()], made=made, states={"fire": state or State()}, **given)
    return found


def why(found: Row) -> str | None:
    return None if found.stuck is None else found.stuck.reason


def test_each_step_counts_what_came_as_far() -> None:
    found = row(
        Made(parts=(gas(1),), state="acknowledged", sent_us=T, acknowledged_us=T + 5),
        Made(parts=(gas(2), gas(3, "yiminyuan")), sent_us=T),
        Made(parts=(gas(4),)),
        state=State(first=Made(sent_us=T)),
    )
    assert found.collected == Step(10, T)
    assert found.outbox == Step(10, T + 4)
    assert found.sent == Step(6, T + 3)
    assert found.acknowledged == Step(1, T + 1)
    assert found.acknowledged_us == T + 5
    assert why(found) == "on_its_way"


def test_those_who_see_one_community_see_its_part() -> None:
    made = Made(parts=(gas(2), gas(3, "yiminyuan")), state="acknowledged", sent_us=T, acknowledged_us=T)
    found = row(made, within={"yiminyuan"})
    assert (found.collected.records, found.acknowledged.records) == (1, 3)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("no_source", {"sources": {"xinjinglou": {"camera"}}}),
        ("disabled", {"of": outlet(disabled=True)}),
        ("no_key", {"state": State(key="fire.hmac: is not there")}),
        ("full", {"state": State(stuck="full")}),
        ("masking_key", {"state": State(stuck="masking_key")}),
        ("nothing_collected", {"collected": []}),
        ("withheld", {"state": State(withheld={"gas_reading/not_in_service": 10, "x/y": 1})}),
        ("not_made", {}),
        ("not_due", {"of": outlet(at="08:00")}),
    ],
)
def test_nothing_made_has_its_reason(reason: str, changes: dict[str, Any]) -> None:
    found = row(**changes)
    assert why(found) == reason
    assert found.stuck is not None
    assert found.stuck.zh != found.stuck.en


def test_an_attempt_that_failed_is_told_with_its_text_and_the_next_try() -> None:
    first = Made(parts=(gas(1),), sent_us=T, error="503 维护中", next_us=T + 60_000_000)
    found = row(first, state=State(first=first))
    assert found.stuck is not None
    assert found.stuck.en == "fire-1 did not arrive: 503 维护中; next try at 2026-11-23T00:01:00Z"


@pytest.mark.parametrize(("sent_us", "reason"), [(None, "not_pulled"), (T, "not_committed")])
def test_a_department_that_pulls_may_be_behind(sent_us: int | None, reason: str) -> None:
    first = Made(parts=(gas(1),), sent_us=sent_us)
    assert why(row(first, of=outlet(mode="pull", url=""), state=State(first=first))) == reason


def test_what_is_all_acknowledged_is_stuck_nowhere() -> None:
    made = Made(parts=(gas(10),), state="acknowledged", sent_us=T, acknowledged_us=T)
    assert why(row(made)) is None


def test_a_quiet_kind_moves_without_records() -> None:
    part = Part(
        data_kind="perimeter_event", community="xinjinglou", count=0, quiet_from_us=T, quiet_until_us=T + 9
    )
    made = Made(parts=(part,), state="acknowledged", sent_us=T, acknowledged_us=T)
    found = row(
        made,
        of=outlet(data_kinds=("perimeter_event",)),
        kinds={"perimeter_event": KINDS["perimeter_event"]},
        collected=[],
    )
    assert found.acknowledged == Step(0, None, T + 9)
    assert why(found) is None


def test_a_kind_that_no_outlet_takes_is_shown_too() -> None:
    found = funnel.rows([outlet()], KINDS, SOURCES, [Got("perimeter_event", "xinjinglou", 2)], [], {})
    assert [(one.outlet, one.data_kind, why(one)) for one in found] == [
        ("fire", "gas_reading", "nothing_collected"),
        ("", "perimeter_event", "no_outlet"),
    ]
    assert found[1].collected.records == 2

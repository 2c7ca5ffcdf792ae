"""Steps in the lives of devices, and the life as it is told."""

import pytest

from pulse.errors import BadInput, Conflict
from pulse.ledger.model import EVER
from pulse.registry import biography, lives
from pulse.registry.biography import Event, Said
from pulse.registry.lives import Step
from pulse.registry.model import DeviceRecord

NEW = DeviceRecord("cam-1", "south", "camera", "门", "Gate", "3号楼", "东门", ("室外",), serial="SN1")
SERVING = NEW._replace(commissioned_us=100, commissioned_recorded_us=100)
NOW = 1000


def step(what: str, at: int = 500, successor: str | None = None) -> Step:
    return Step(what, "cam-1", at, "到期", successor)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (step("sell"), "what"),
        (step("retire", -1), "at"),
        (step("retire", 1 << 61), "at"),
        (step("replace"), "successor"),
        (step("retire", successor="cam-2"), "successor"),
        (step("replace", successor="cam 2"), "successor"),
        (step("replace", successor="cam-1"), "successor"),
        (step("retire")._replace(reason=" "), "reason"),
    ],
)
def test_a_step_that_cannot_be_is_refused_by_member(wrong: Step, where: str) -> None:
    with pytest.raises(BadInput) as refused:
        lives.checked(wrong)
    assert refused.value.where == where


def test_each_step_is_known_from_the_time_at_which_it_is_taken() -> None:
    (begun,) = lives.applied(step("commission"), NEW, None, NOW)
    assert begun == NEW._replace(commissioned_us=500, commissioned_recorded_us=NOW)
    (ended,) = lives.applied(step("retire"), SERVING, None, NOW)
    assert ended == SERVING._replace(retired_us=500, retired_recorded_us=NOW)


def test_a_new_unit_takes_the_place_of_the_old_one() -> None:
    old, new = lives.applied(step("replace", successor="cam-2"), SERVING, None, NOW)
    assert (old.retired_us, new.commissioned_us) == (500, 500)
    assert (new.id, new.building, new.location, new.tags, new.serial) == (
        "cam-2",
        "3号楼",
        "东门",
        ("室外",),
        "",
    )


def test_a_registered_unit_keeps_its_own_facts_and_takes_the_place() -> None:
    stock = NEW._replace(id="cam-2", building="仓库", serial="SN2")
    _, new = lives.applied(step("replace", successor="cam-2"), SERVING, stock, NOW)
    assert (new.building, new.serial) == ("3号楼", "SN2")


@pytest.mark.parametrize(
    ("taken", "record", "successor"),
    [
        (step("commission"), SERVING, None),
        (step("commission"), SERVING._replace(retired_us=600), None),
        (step("commission", 2000), NEW._replace(retired_us=1500), None),
        (step("retire"), NEW, None),
        (step("retire", 50), SERVING, None),
        (step("retire"), SERVING._replace(retired_us=600), None),
        (step("replace", successor="cam-2"), SERVING, SERVING._replace(id="cam-2")),
        (step("replace", successor="cam-2"), SERVING, NEW._replace(id="cam-2", kind="lock")),
        (step("replace", successor="cam-2"), SERVING, NEW._replace(id="cam-2", community="north")),
    ],
)
def test_what_is_in_force_already_is_not_moved(
    taken: Step, record: DeviceRecord, successor: DeviceRecord | None
) -> None:
    with pytest.raises(Conflict):
        lives.applied(taken, record, successor, NOW)


def test_what_is_yet_to_come_can_be_changed() -> None:
    planned = SERVING._replace(commissioned_us=2000)
    (begun,) = lives.applied(step("commission", 1500), planned, None, NOW)
    assert begun.commissioned_us == 1500
    (ended,) = lives.applied(step("retire", 1700), SERVING._replace(retired_us=9000), None, NOW)
    assert ended.retired_us == 1700


def test_a_life_is_told_in_order_with_who_said_so() -> None:
    moved = SERVING._replace(building="4号楼", name_en="Door")
    retired = moved._replace(retired_us=800, retired_recorded_us=900)
    forms = [
        Said(NEW, 50, "user:mei"),
        Said(SERVING, 100, "user:mei"),
        Said(moved, 300, "user:li"),
        Said(retired, 900, "user:wang"),
    ]
    found = biography.events(20, forms)
    assert [(e.what, e.at_us, e.known_us, e.by) for e in found] == [
        ("discovered", 20, 20, ""),
        ("registered", 50, 50, "user:mei"),
        ("commissioned", 100, 100, "user:mei"),
        ("moved", 300, 300, "user:li"),
        ("changed", 300, 300, "user:li"),
        ("retired", 800, 900, "user:wang"),
    ]
    assert found[3] == Event("moved", 300, 300, "user:li", {"building": "3号楼"}, {"building": "4号楼"})


def test_what_was_there_before_forms_were_kept_has_no_time_of_registration() -> None:
    found = biography.events(None, [Said(SERVING, EVER, "")])
    assert [(e.what, e.at_us, e.known_us) for e in found] == [
        ("registered", None, None),
        ("commissioned", 100, 100),
    ]
    assert biography.events(5, []) == []

"""Scenario files: what is accepted, what is refused and how it is said; the documented example runs."""

import re
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest

from pulse.clock import HOUR_US, SECOND_US
from pulse.errors import BadInput
from simulators.faults import Behaviour, Do, plan
from simulators.fleet import fleet
from simulators.scenario import (
    COMMUNITIES,
    DEFAULT,
    KINDS,
    CommunityEntry,
    DataEntry,
    FaultEntry,
    KindEntry,
    Scenario,
    load,
    parse,
)

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = [DOCS / "scenarios.md", DOCS / "scenarios.zh-CN.md"]

FAULT = '[[fault]]\nbehaviour = "silent"\n'
KIND = (
    '[[kind]]\nid = "valve"\nname_zh = "阀"\nname_en = "Valve"\ncount = 3\ninterval_s = 10\ntimeout_s = 30\n'
)
COMMUNITY = '[[community]]\nid = "east"\nname_zh = "东"\nname_en = "East"\n'


def example(guide: Path) -> str:
    """The complete example of a guide."""
    found = re.search(r"```toml\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_the_documented_example_does_what_the_guide_says(guide: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(example(guide), encoding="utf-8")
    scenario = load(file)
    whole = fleet(1, scenario=scenario)
    assert {entry.behaviour for entry in scenario.fault} == set(Behaviour)
    assert (len(whole.devices), len(whole.down)) == (90, 4)
    cut_off = [
        d for d in whole.devices if d.id in whole.faults and whole.faults[d.id].max_lateness_us == 2 * HOUR_US
    ]
    assert len({(d.community, d.building) for d in cut_off}) == 1
    assert {d.max_lateness_s for d in cut_off} == {7200}
    dead = next(d for d in whole.devices if d.id == "xjl-cam-001")
    until = 2 * HOUR_US
    steps = list(takewhile(lambda s: s.at_us < until, plan(whole.unit(dead), whole.faults[dead.id])))
    kill = next(step for step in steps if step.do is Do.KILL)
    assert kill.at_us == 300 * SECOND_US
    assert [s.do for s in steps if 300 * SECOND_US < s.at_us <= 3900 * SECOND_US] == [Do.CONNECT]


def test_both_guides_show_the_same_example() -> None:
    first, second = (parse(example(guide), guide.name) for guide in GUIDES)
    assert msgspec.structs.replace(first, name="") == msgspec.structs.replace(second, name="")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_every_member_and_behaviour_is_documented(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    members = {
        name
        for struct in (Scenario, CommunityEntry, KindEntry, FaultEntry, DataEntry)
        for name in struct.__struct_fields__
    }
    for word in members | set(Behaviour):
        assert f"`{word}`" in text or f"`[[{word}]]`" in text, word


def test_what_is_left_out_is_as_in_the_demo() -> None:
    scenario = parse("", "empty.toml")
    assert (scenario.communities, scenario.kinds, scenario.devices) == (COMMUNITIES, KINDS, 826)
    assert fleet(1, scenario=scenario).running == 826


def test_own_kinds_and_communities_make_a_fleet() -> None:
    whole = fleet(1, scenario=parse(KIND + COMMUNITY, "own.toml"))
    assert [d.id for d in whole.devices] == ["east-valve-001", "east-valve-002", "east-valve-003"]
    assert len({d.name_zh for d in whole.devices}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = ", "my.toml: is not TOML: Invalid value (at end of document)"),
        ("speed = 1", "my.toml: Object contains unknown field `speed`"),
        ("fault = 3", "my.toml: fault: Expected `array`, got `int`"),
        ("connects_per_s = 0", "my.toml: connects_per_s: Expected `float` >= 1.0"),
        (
            '[[fault]]\nbehaviour = "lazy"\ncount = 1',
            "my.toml: fault[0].behaviour: Invalid enum value 'lazy'; use one of silent",
        ),
        (FAULT + 'count = "2"', "my.toml: fault[0].count: Expected `int | null`, got `str`"),
        (FAULT, "my.toml: fault[0]: give either count or devices"),
        (FAULT + 'count = 1\ndevices = ["xjl-cam-001"]', "my.toml: fault[0]: give either count or devices"),
        (FAULT + "devices = []", "my.toml: fault[0].devices: name each device once, and one at least"),
        (FAULT + 'devices = ["a"]\nkind = "camera"', "my.toml: fault[0]: kind, community and same_building"),
        (FAULT + 'count = 1\nkind = "boiler"', "my.toml: fault[0].kind: 'boiler' is none of camera, "),
        (FAULT + 'count = 1\ncommunity = "x"', "my.toml: fault[0].community: 'x' is none of xinjinglou, "),
        (FAULT + "count = 1\ncopies = 2", "my.toml: fault[0].copies: means nothing for silent"),
        (FAULT + "count = 1\nafter_s = nan", "my.toml: fault[0].after_s: "),
        (FAULT + "count = 1\nfor_s = inf", "my.toml: fault[0].for_s: "),
        ('[[fault]]\nbehaviour = "late"\ncount = 1', "my.toml: fault[0].max_lateness_s: late needs it"),
        (
            '[[fault]]\nbehaviour = "never_activated"\ncount = 1\nafter_s = 5',
            "my.toml: fault[0].after_s: never_activated begins",
        ),
        (KIND.replace("valve", "Valve 1"), "my.toml: kind[0].id: 'Valve 1' is not 1 to 24 of a-z 0-9 _"),
        (KIND + KIND, "my.toml: kind[1].id: 'valve' is there twice"),
        (
            KIND + KIND.replace("valve", "tap") + 'short = "valve"',
            "my.toml: kind[1].short: 'valve' is there twice",
        ),
        (KIND.replace("= 30", "= 20"), "my.toml: kind[0].timeout_s: 20 s is less than 2.5 intervals of 10 s"),
        (
            KIND.replace("= 3\n", "= 50000\n") + KIND.replace("valve", "tap"),
            "my.toml: kind: 50003 devices; at most 50000",
        ),
    ],
)
def test_what_cannot_be_accepted_is_named_with_file_place_and_reason(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(text, "my.toml")
    assert str(refused.value).startswith(said)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(BadInput, match=r"none\.toml: cannot be read: No such file"):
        load(missing)
    missing.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="is not UTF-8"):
        load(missing)


def test_the_demo_scenario_is_accepted_when_written_to_a_file() -> None:
    def toml(value: object) -> str:
        return (
            str(value).lower()
            if isinstance(value, bool)
            else repr(str(value))
            if isinstance(value, str)
            else repr(value)
        )

    lines = []
    for entry in DEFAULT.fault:
        lines.append("[[fault]]")
        given = {name: getattr(entry, name) for name in entry.__struct_fields__}
        lines += [f"{name} = {toml(value)}" for name, value in given.items() if value is not None]
    assert parse("\n".join(lines), "demo.toml").fault == DEFAULT.fault

"""Scenario files: which fleet, and what is wrong with it. docs/scenarios.md describes every member."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pulse.clock import SECOND_US
from pulse.errors import BadInput
from simulators.faults import NEVER, Behaviour, Fault
from simulators.records import SOURCES

MOST_DEVICES = 50_000
"""More connections than one process can hold without special preparation of the machine."""

Count = Annotated[int, Meta(ge=1, le=MOST_DEVICES)]
Seconds = Annotated[float, Meta(gt=0, le=366 * 86_400)]
Name = Annotated[str, Meta(max_length=200)]


class CommunityEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[community]]`: one community and its share of every kind."""

    id: str
    name_zh: Name
    name_en: Name
    share: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    buildings: Annotated[int, Meta(ge=1, le=200)] = 8
    short: str = ""

    @property
    def prefix(self) -> str:
        """How the ids of its devices begin."""
        return self.short or self.id


class KindEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[kind]]`: one kind of device, how many there are and how they beat."""

    id: str
    name_zh: Name
    name_en: Name
    count: Count
    interval_s: Seconds
    timeout_s: Seconds
    short: str = ""

    @property
    def prefix(self) -> str:
        """What stands for it in the ids of its devices."""
        return self.short or self.id


class DataEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[data]]`: a kind of data and how often each of its devices tells it.

    `share` of the devices of its kind tell it, one of each community at least. Of what happens by day and
    by night (doors, cars, rubbish), `every_s` is for the liveliest hour.
    """

    id: str
    every_s: Seconds
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0


class FaultEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[fault]]`: what is wrong with `count` devices, or with the `devices` named."""

    behaviour: Behaviour
    count: Count | None = None
    devices: tuple[str, ...] | None = None
    kind: str | None = None
    community: str | None = None
    same_building: bool = False
    after_s: Annotated[float, Meta(ge=0, le=366 * 86_400)] = 0.0
    for_s: Seconds | None = None
    code: str | None = None
    clock_offset_s: Annotated[float, Meta(ge=-20 * 366 * 86_400, le=20 * 366 * 86_400)] | None = None
    clock_declared: bool | None = None
    max_lateness_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] | None = None
    every_beats: Annotated[int, Meta(ge=1, le=1000)] | None = None
    copies: Annotated[int, Meta(ge=1, le=10)] | None = None

    @property
    def quantity(self) -> int:
        """For how many devices this is."""
        return self.count or len(self.devices or ())

    def fault(self) -> Fault:
        """What it means for each of these devices."""
        return Fault(
            self.behaviour,
            after_us=round(self.after_s * SECOND_US),
            for_us=NEVER if self.for_s is None else round(self.for_s * SECOND_US),
            code=self.code or "self_test",
            clock_offset_us=round((self.clock_offset_s or 0) * SECOND_US),
            clock_declared=bool(self.clock_declared),
            max_lateness_us=round((self.max_lateness_s or 0) * SECOND_US),
            every_beats=self.every_beats or 5,
            copies=self.copies or 2,
        )


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fleet and its faults. Communities, kinds and data left out are those of the demo."""

    name: Name = ""
    connects_per_s: Annotated[float, Meta(ge=1, le=10_000)] = 100.0
    community: tuple[CommunityEntry, ...] = ()
    kind: tuple[KindEntry, ...] = ()
    fault: tuple[FaultEntry, ...] = ()
    data: tuple[DataEntry, ...] | None = None

    @property
    def tellings(self) -> tuple[DataEntry, ...]:
        """The kinds of data, in order; with `data = []` nobody tells anything."""
        return DATA if self.data is None else self.data

    @property
    def communities(self) -> tuple[CommunityEntry, ...]:
        """The communities, in order."""
        return self.community or COMMUNITIES

    @property
    def kinds(self) -> tuple[KindEntry, ...]:
        """The kinds, in order."""
        return self.kind or KINDS

    @property
    def devices(self) -> int:
        """How many devices the fleet has unless another number is asked for."""
        return sum(kind.count for kind in self.kinds)


COMMUNITIES = (
    CommunityEntry("xinjinglou", "新景楼", "Xinjinglou", 0.38, 12, "xjl"),
    CommunityEntry("rongxinyuan", "荣馨园", "Rongxinyuan", 0.34, 10, "rxy"),
    CommunityEntry("yiminyuan", "益民园", "Yiminyuan", 0.28, 8, "ymy"),
)

KINDS = (
    KindEntry("camera", "摄像机", "Camera", 182, 60, 180, "cam"),
    KindEntry("access_control", "门禁", "Access control", 118, 30, 90, "door"),
    KindEntry("smart_lock", "门锁", "Smart lock", 117, 60, 180, "lock"),
    KindEntry("gas_alarm", "可燃气体报警器", "Gas alarm", 300, 30, 90, "gas"),
    KindEntry("flow_meter", "超声流量计", "Flow meter", 100, 60, 180, "flow"),
    KindEntry("sorting_bin", "垃圾分类箱", "Sorting bin", 7, 60, 180, "bin"),
    KindEntry("perimeter_alarm", "周界报警", "Perimeter alarm", 2, 30, 90, "fence"),
)
"""The 826 of the 2020 evaluation, as far as its figures tell (an assumption; see docs/scenarios.md)."""

DATA = (
    DataEntry("access_event", 300),
    DataEntry("lock_status", 1800),
    DataEntry("video_status", 1200),
    DataEntry("vehicle_pass", 45, share=0.055),
    DataEntry("gas_reading", 900),
    DataEntry("flow_reading", 600),
    DataEntry("perimeter_event", 21_600),
    DataEntry("sorting_record", 30),
)
"""One or two records a second in the demo's fleet, of each kind but the perimeter's one every two minutes
even at night; ten of its cameras are at gates (6 that recognise people and
vehicles, 4 micro checkpoints)."""

DEFAULT = Scenario(
    "steady",
    fault=(
        FaultEntry(Behaviour.SILENT, count=4),
        FaultEntry(Behaviour.KILLED, count=3, after_s=45),
        FaultEntry(Behaviour.FAULT, count=3, code="sensor_drift"),
        FaultEntry(Behaviour.NEVER_ACTIVATED, count=2),
        FaultEntry(Behaviour.CUT_OFF_BUFFERING, count=3, max_lateness_s=86_400, same_building=True),
        FaultEntry(Behaviour.FLAPPING, count=8),
        FaultEntry(Behaviour.WRONG_CLOCK, count=3, clock_offset_s=28_800),
        FaultEntry(Behaviour.WRONG_CLOCK, count=3, clock_offset_s=-28_800, clock_declared=True),
        FaultEntry(Behaviour.LATE, count=6, max_lateness_s=600),
        FaultEntry(Behaviour.DUPLICATES, count=8),
    ),
)
"""15 devices down in five ways, 28 that misbehave without being down."""

_WORD = re.compile(r"[a-z0-9][a-z0-9_]{0,23}")
_ONLY_FOR = {
    "code": {Behaviour.FAULT},
    "clock_offset_s": {Behaviour.WRONG_CLOCK},
    "clock_declared": {Behaviour.WRONG_CLOCK},
    "max_lateness_s": {Behaviour.LATE, Behaviour.CUT_OFF_BUFFERING},
    "every_beats": {Behaviour.FLAPPING},
    "copies": {Behaviour.DUPLICATES},
}
_NEEDED_BY = {
    Behaviour.WRONG_CLOCK: "clock_offset_s",
    Behaviour.LATE: "max_lateness_s",
    Behaviour.CUT_OFF_BUFFERING: "max_lateness_s",
}


def load(path: Path) -> Scenario:
    """Read a scenario file. Raises `BadInput` naming the file, the place in it and the reason."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"is not UTF-8 (byte {error.start})", where=str(path)) from error
    return parse(text, str(path))


def parse(text: str, where: str) -> Scenario:
    """The scenario of a TOML text. Raises `BadInput`; `where` names the text."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"is not TOML: {error}", where=where) from error
    return _checked(content, where)


def _checked(content: dict[str, Any], where: str) -> Scenario:
    try:
        scenario = msgspec.convert(content, Scenario, strict=True)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        if reason.startswith("Invalid enum value"):
            reason += f"; use one of {', '.join(Behaviour)}"
        raise BadInput(reason, where=_joined(where, place.rstrip("`"))) from error
    _check_ids(scenario.communities, "community", where)
    _check_ids(scenario.kinds, "kind", where)
    told = [entry.id for entry in scenario.data or ()]
    for number, name in enumerate(told):
        if name not in SOURCES:
            raise BadInput(
                f"{name[:40]!r} is none of {', '.join(SOURCES)}", where=_joined(where, f"data[{number}].id")
            )
        if name in told[:number]:
            raise BadInput(f"{name!r} is there twice", where=_joined(where, f"data[{number}].id"))
    for number, kind in enumerate(scenario.kind):
        if kind.timeout_s < 2.5 * kind.interval_s:
            raise BadInput(
                f"{kind.timeout_s:g} s is less than 2.5 intervals of {kind.interval_s:g} s; "
                f"one lost beat would look like an outage",
                where=_joined(where, f"kind[{number}].timeout_s"),
            )
    if scenario.devices > MOST_DEVICES:
        raise BadInput(f"{scenario.devices} devices; at most {MOST_DEVICES}", where=_joined(where, "kind"))
    for number, entry in enumerate(scenario.fault):
        _check_fault(scenario, entry, _joined(where, f"fault[{number}]"))
    return scenario


def _check_ids(entries: Sequence[CommunityEntry | KindEntry], member: str, where: str) -> None:
    for what, texts in (("id", [e.id for e in entries]), ("short", [e.prefix for e in entries])):
        for number, text in enumerate(texts):
            place = _joined(where, f"{member}[{number}].{what}")
            if not _WORD.fullmatch(text):
                raise BadInput(
                    f"{text[:40]!r} is not 1 to 24 of a-z 0-9 _ with a letter or digit first", where=place
                )
            if text in texts[:number]:
                raise BadInput(f"{text!r} is there twice", where=place)


def _check_fault(scenario: Scenario, entry: FaultEntry, place: str) -> None:
    if (entry.count is None) == (entry.devices is None):
        raise BadInput("give either count or devices", where=place)
    if entry.devices is not None:
        if not entry.devices or len(set(entry.devices)) < len(entry.devices):
            raise BadInput("name each device once, and one at least", where=f"{place}.devices")
        if entry.kind or entry.community or entry.same_building:
            raise BadInput("kind, community and same_building choose devices; these are named", where=place)
    for member, entries in (("kind", scenario.kinds), ("community", scenario.communities)):
        wanted = getattr(entry, member)
        known = [each.id for each in entries]
        if wanted is not None and wanted not in known:
            raise BadInput(f"{wanted!r} is none of {', '.join(known)}", where=f"{place}.{member}")
    for member, behaviours in _ONLY_FOR.items():
        if getattr(entry, member) is not None and entry.behaviour not in behaviours:
            raise BadInput(f"means nothing for {entry.behaviour}", where=f"{place}.{member}")
    needed = _NEEDED_BY.get(entry.behaviour)
    if needed and getattr(entry, needed) is None:
        raise BadInput(f"{entry.behaviour} needs it", where=f"{place}.{needed}")
    if entry.behaviour is Behaviour.NEVER_ACTIVATED and entry.after_s:
        raise BadInput("never_activated begins at the start; use for_s to end it", where=f"{place}.after_s")


def _joined(where: str, place: str) -> str:
    return f"{where}: {place}" if place else where

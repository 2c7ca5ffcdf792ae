"""Where devices hang and what people call them, in Chinese and English."""

from typing import NamedTuple

from simulators.scenario import KindEntry

PUBLIC_AREA = "公共区域"

_UNITS = 3
_ROOMS = 2
_FLOORS = 18


class Place(NamedTuple):
    """Where one device is. `zh` and `en` are the words before the kind in its name."""

    building: str
    location: str
    zh: str
    en: str
    tags: tuple[str, ...]


_OUTSIDE: dict[str, tuple[tuple[str, str], ...]] = {
    "camera": (
        ("东门", "East gate"),
        ("西门", "West gate"),
        ("南门", "South gate"),
        ("主干道", "Main road"),
        ("地下车库入口", "Garage entrance"),
        ("地下车库", "Garage"),
        ("儿童游乐区", "Playground"),
        ("健身广场", "Fitness square"),
        ("自行车棚", "Bicycle shed"),
        ("北围墙", "North wall"),
    ),
    "sorting_bin": (
        ("东侧投放点", "East drop-off point"),
        ("西侧投放点", "West drop-off point"),
        ("中心广场投放点", "Central square drop-off point"),
        ("南门投放点", "South gate drop-off point"),
    ),
    "perimeter_alarm": (("北围墙", "North wall"), ("西围墙", "West wall"), ("东围墙", "East wall")),
}
_AT_HOME: dict[str, tuple[str, tuple[str, ...]]] = {
    "gas_alarm": ("厨房", ("入户", "燃气安全")),
    "smart_lock": ("入户门", ("入户",)),
}
_IN_UNIT: dict[str, tuple[tuple[str, str], ...]] = {
    "camera": (("门口", "entrance"), ("电梯厅", "lift lobby"), ("电梯轿厢", "lift car")),
    "access_control": (("入口", "entrance"), ("地下室", "basement")),
    "flow_meter": (("水表井", "meter shaft"),),
}
_CAMERAS_OUTSIDE = 3
"""One camera of so many is in the public area."""


def place(kind: KindEntry, buildings: int, number: int) -> Place:
    """Where device `number` (from 0) of its kind in its community is."""
    outside = _OUTSIDE.get(kind.id)
    if outside and (kind.id != "camera" or number % _CAMERAS_OUTSIDE == 0):
        turn = number // _CAMERAS_OUTSIDE if kind.id == "camera" else number
        zh, en = outside[turn % len(outside)]
        again = turn // len(outside)
        zh, en = (f"{zh}{again + 1}号", f"{en} {again + 1}") if again else (zh, en)
        return Place(PUBLIC_AREA, zh, zh, en, ("室外",))
    building = number % buildings + 1
    turn = number // buildings
    if kind.id in _IN_UNIT:
        return _in_unit(_IN_UNIT[kind.id], building, turn)
    return _at_home(_AT_HOME.get(kind.id, ("", ())), building, turn)


def _in_unit(spots: tuple[tuple[str, str], ...], building: int, turn: int) -> Place:
    unit = turn % _UNITS + 1
    turn //= _UNITS
    zh, en = spots[turn % len(spots)]
    again = turn // len(spots)
    zh, en = (f"{zh}{again + 1}号", f"{en} {again + 1}") if again else (zh, en)
    return Place(
        f"{building}号楼",
        f"{unit}单元{zh}",
        f"{building}号楼{unit}单元{zh}",
        f"Building {building} unit {unit} {en}",
        (),
    )


def _at_home(spot: tuple[str, tuple[str, ...]], building: int, turn: int) -> Place:
    unit = turn % _UNITS + 1
    room = turn // _UNITS % _ROOMS + 1
    turn //= _UNITS * _ROOMS
    # Seven has no factor in common with the floors, so that every floor has its turn, in no visible order.
    floor = (turn * 7 + building * 5) % _FLOORS + 1 if turn < _FLOORS else turn + 1
    number = f"{floor}{room:02d}"
    return Place(
        f"{building}号楼",
        f"{unit}单元{number}室{spot[0]}",
        f"{building}号楼{unit}单元{number}室",
        f"Building {building} unit {unit} room {number}",
        spot[1],
    )

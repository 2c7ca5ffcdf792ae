"""What records say: plausible bodies of the eight kinds of data, the same for the same device and number."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pulse.clock import DAY_US, HOUR_US
from simulators import chance
from simulators.metrics import measured

Body = dict[str, Any]

_LOCAL_US = 8 * HOUR_US
"""The communities' clocks are 8 hours ahead of UTC."""
_QUIET = 0.25
"""What is left of the liveliest hour's traffic deep at night."""
_PLATE_SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_RESIDENTS = 900
"""Cars that belong to a community; four of five that pass are theirs."""
_CATEGORIES = (
    ("kitchen", 0.55, 1.1),
    ("other", 0.82, 1.6),
    ("recyclable", 0.98, 0.9),
    ("hazardous", 1.0, 0.2),
)
"""Shares, summed up, and usual weights in kilograms."""
_LOW_LEL_PCT, _HIGH_LEL_PCT = 10.0, 25.0


class Source(NamedTuple):
    """Who can tell a kind of data, and whether it does so at chance moments or steadily."""

    kind: str
    at_chance: bool = False


SOURCES = {
    "access_event": Source("access_control", at_chance=True),
    "lock_status": Source("smart_lock"),
    "video_status": Source("camera"),
    "vehicle_pass": Source("camera", at_chance=True),
    "gas_reading": Source("gas_alarm"),
    "flow_reading": Source("flow_meter"),
    "perimeter_event": Source("perimeter_alarm", at_chance=True),
    "sorting_record": Source("sorting_bin", at_chance=True),
}
"""Of the eight kinds of data, the kind of device that tells it."""


def body(data_kind: str, community: str, device_key: int, number: int, at_us: int) -> Body | None:
    """What a device tells as its record of this number, made at `at_us`; None if nothing happened then."""
    draw = _Draw(chance.bits(chance.key(device_key, data_kind), number))
    return _KINDS[data_kind](draw, community, device_key, at_us)


def liveliness(at_us: int) -> float:
    """How much goes on of what goes on at most: little at night, most in the morning and in the evening."""
    hour = ((at_us + _LOCAL_US) % DAY_US) / HOUR_US
    morning, noon, evening = (np.exp(-(((hour - peak) / width) ** 2)) for peak, width in _PEAKS)
    return float(_QUIET + (1 - _QUIET) * min(1.0, morning + 0.5 * noon + evening))


_PEAKS = ((7.8, 1.5), (12.5, 2.5), (18.5, 2.5))


class _Draw:
    """Numbers of chance for one record, one after the other."""

    def __init__(self, key: int) -> None:
        self._key = key
        self._drawn = 0

    def share(self) -> float:
        """The next number in [0, 1)."""
        self._drawn += 1
        return chance.uniform(self._key, self._drawn)

    def below(self, share: float) -> bool:
        """True with this probability."""
        return self.share() < share

    def one_of(self, choices: Sequence[tuple[str, float]]) -> str:
        """One of the words; the numbers are their shares, summed up."""
        luck = self.share()
        return next(word for word, up_to in choices if luck < up_to)

    def whole(self, limit: int) -> int:
        """A whole number in [0, limit)."""
        return int(self.share() * limit)


def _access_event(draw: _Draw, community: str, _device_key: int, at_us: int) -> Body | None:
    if not draw.below(liveliness(at_us)):
        return None
    luck = draw.share()
    event = (
        "granted" if luck < 0.97 else "denied" if luck < 0.994 else "held_open" if luck < 0.999 else "forced"
    )
    said: Body = {"event": event, "direction": _direction(draw, at_us)}
    if event == "forced":
        return said
    said["method"] = ("card", "card", "face", "phone", "code", "button")[draw.whole(6)]
    home = draw.whole(3480)
    if said["method"] == "card":
        said["card"] = f"{chance.key(community, 'card', home) & 0xFFFFFFFF:08X}"
    if event == "granted" and said["method"] in {"card", "face", "phone"}:
        said["holder"] = (
            f"{1 + home % 12}号楼{1 + home // 12 % 3}单元{1 + home // 36 % 18:02d}{1 + home % 4:02d}室"
        )
    return said


def _lock_status(draw: _Draw, _community: str, device_key: int, at_us: int) -> Body:
    said = {
        "locked": not draw.below(0.15 * liveliness(at_us)),
        "battery_pct": _of("smart_lock", device_key, at_us)[0],
    }
    return {**said, "tamper": True} if draw.below(0.0005) else said


def _video_status(draw: _Draw, _community: str, device_key: int, at_us: int) -> Body:
    bitrate, _, disk_free = _of("camera", device_key, at_us)
    recording = not draw.below(0.004)
    return {
        "recording": recording,
        "bitrate_kbps": bitrate if recording else 0,
        "disk_free_pct": disk_free,
        "occluded": draw.below(0.003),
    }


def _vehicle_pass(draw: _Draw, community: str, _device_key: int, at_us: int) -> Body | None:
    if not draw.below(liveliness(at_us)):
        return None
    own = draw.below(0.8)
    car = chance.key(community, "car", draw.whole(_RESIDENTS)) if own else chance.bits(draw.whole(1 << 40))
    signs = "".join(_PLATE_SIGNS[chance.bits(car, place) % len(_PLATE_SIGNS)] for place in range(4))
    kinds = ("car", "car", "car", "car", "car", "car", "motorcycle", "truck", "bus", "other")
    return {
        "plate": f"冀B{chance.bits(car, 9) % 10}{signs}",
        "direction": _direction(draw, at_us),
        "vehicle": "car" if own else kinds[draw.whole(len(kinds))],
        "confidence": round(0.999 - 0.15 * draw.share() ** 3, 3),
    }


def _gas_reading(draw: _Draw, _community: str, device_key: int, at_us: int) -> Body:
    level, temperature = _of("gas_alarm", device_key, at_us)
    if draw.below(0.0008):
        # A hob that went out, or a valve that leaks.
        level = round(_LOW_LEL_PCT + 35 * draw.share() ** 2, 2)
    alarm = "high" if level >= _HIGH_LEL_PCT else "low" if level >= _LOW_LEL_PCT else "none"
    return {"lel_pct": level, "alarm": alarm, "temperature_c": temperature}


def _flow_reading(_draw: _Draw, _community: str, device_key: int, at_us: int) -> Body:
    flow, total = _of("flow_meter", device_key, at_us)
    return {"total_m3": total, "flow_m3_h": flow}


def _perimeter_event(draw: _Draw, _community: str, _device_key: int, _at_us: int) -> Body:
    event = draw.one_of((("intrusion", 0.45), ("cleared", 0.8), ("test", 0.95), ("tamper", 1.0)))
    return {"event": event, "zone": ("north", "east", "south", "west")[draw.whole(4)]}


def _sorting_record(draw: _Draw, community: str, device_key: int, at_us: int) -> Body | None:
    if not draw.below(liveliness(at_us)):
        return None
    luck = draw.share()
    category, usual_kg = next((name, usual) for name, up_to, usual in _CATEGORIES if luck < up_to)
    (fill,) = _of("sorting_bin", device_key, at_us)
    return {
        "category": category,
        "weight_kg": round(usual_kg * (0.3 + 1.4 * draw.share()), 2),
        "fill_pct": fill,
        "card": f"{chance.key(community, 'card', draw.whole(3480)) & 0xFFFFFFFF:08X}",
    }


def _of(kind: str, device_key: int, at_us: int) -> list[float]:
    """What the device measures at that moment, in the order in which its kind has it."""
    values = measured(kind, device_key, np.array([at_us], dtype=np.int64))
    return [float(value[0]) for value in values.values()]


def _direction(draw: _Draw, at_us: int) -> str:
    """Out in the morning, in in the evening, mostly."""
    hour = ((at_us + _LOCAL_US) % DAY_US) / HOUR_US
    return "in" if draw.below(0.25 if 5 <= hour < 11 else 0.7 if 16 <= hour < 23 else 0.5) else "out"


_KINDS: dict[str, Callable[[_Draw, str, int, int], Body | None]] = {
    "access_event": _access_event,
    "lock_status": _lock_status,
    "video_status": _video_status,
    "vehicle_pass": _vehicle_pass,
    "gas_reading": _gas_reading,
    "flow_reading": _flow_reading,
    "perimeter_event": _perimeter_event,
    "sorting_record": _sorting_record,
}

"""What devices measure: plausible numbers, the same for the same device and moment."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pulse.clock import DAY_US, HOUR_US, SECOND_US
from simulators import chance
from simulators.rhythm import Times

Values = npt.NDArray[np.float64]

_LOCAL_US = 8 * HOUR_US
"""The communities' clocks are 8 hours ahead of UTC."""


def measured(kind: str, device_key: int, at_us: Times) -> dict[str, Values]:
    """The metrics of a device of this kind at each of these times, by name."""
    return _KINDS.get(kind, _anything)(device_key, at_us)


def _anything(device_key: int, at_us: Times) -> dict[str, Values]:
    return {"rssi_dbm": _noisy(device_key, 1, at_us, -62 - 18 * chance.uniform(device_key, 20), 2.0, 0)}


def _camera(device_key: int, at_us: Times) -> dict[str, Values]:
    return {
        "bitrate_kbps": _noisy(device_key, 1, at_us, 2048 + 1500 * _day(at_us), 120.0, 0),
        "fps": np.where(_noise(device_key, 2, at_us) > 1.9, 24.0, 25.0),
        "disk_free_pct": np.round(12 + 70 * chance.uniform(device_key, 20) - 3 * _day(at_us), 1),
    }


def _access_control(device_key: int, at_us: Times) -> dict[str, Values]:
    return {
        "passages": np.floor(np.abs(_noise(device_key, 1, at_us)) * 4 * _day(at_us)),
        "supply_v": _noisy(device_key, 2, at_us, 12.1, 0.05, 2),
    }


def _smart_lock(device_key: int, at_us: Times) -> dict[str, Values]:
    worn = (at_us / DAY_US / 400 + chance.uniform(device_key, 20)) % 1.0
    return {
        "battery_pct": np.round(100 - 80 * worn, 1),
        "rssi_dbm": _noisy(device_key, 1, at_us, -66 - 14 * chance.uniform(device_key, 21), 2.0, 0),
    }


def _gas_alarm(device_key: int, at_us: Times) -> dict[str, Values]:
    cooking = np.maximum(_noise(device_key, 1, at_us) - 1.2, 0) * 3 * _day(at_us)
    return {
        "lel_pct": np.round(0.2 + 0.4 * chance.uniform(device_key, 20) + cooking, 2),
        "temperature_c": _noisy(device_key, 2, at_us, 21 + 4 * _day(at_us), 0.3, 1),
    }


def _flow_meter(device_key: int, at_us: Times) -> dict[str, Values]:
    flow = np.round((0.1 + 1.6 * _day(at_us)) * (1 + 0.2 * _noise(device_key, 1, at_us)), 3)
    hours = (at_us - 1_600_000_000 * SECOND_US) / HOUR_US
    return {
        "flow_m3h": np.maximum(flow, 0.0),
        "total_m3": np.round(1000 * chance.uniform(device_key, 20) + 0.9 * hours, 2),
    }


def _sorting_bin(device_key: int, at_us: Times) -> dict[str, Values]:
    since_emptied = (at_us / DAY_US + chance.uniform(device_key, 20)) % 1.0
    return {"fill_pct": np.round(4 + 80 * since_emptied, 1)}


def _perimeter_alarm(device_key: int, at_us: Times) -> dict[str, Values]:
    return {"line_kohm": _noisy(device_key, 1, at_us, 4.7, 0.02, 2)}


_KINDS: dict[str, Callable[[int, Times], dict[str, Values]]] = {
    "camera": _camera,
    "access_control": _access_control,
    "smart_lock": _smart_lock,
    "gas_alarm": _gas_alarm,
    "flow_meter": _flow_meter,
    "sorting_bin": _sorting_bin,
    "perimeter_alarm": _perimeter_alarm,
}


def _day(at_us: Times) -> Values:
    """How lively the community is: 0 deep at night, 1 in the early evening."""
    turn = ((at_us + _LOCAL_US) % DAY_US) / DAY_US
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (turn - 0.2)), dtype=np.float64)


def _noise(device_key: int, what: int, at_us: Times) -> Values:
    """Numbers of mean 0, between -2 and 2, that look normal enough: the sum of three uniform ones."""
    own = chance.bits(device_key, 100 + what)
    total = sum(chance.uniform_array(own + n, at_us) for n in range(3))
    return np.asarray((total - 1.5) * (4 / 3), dtype=np.float64)


def _noisy(
    device_key: int, what: int, at_us: Times, level: float | Values, spread: float, digits: int
) -> Values:
    return np.asarray(np.round(level + spread * _noise(device_key, what, at_us), digits), dtype=np.float64)

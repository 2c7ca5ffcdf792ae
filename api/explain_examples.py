"""An example of an explanation: one device's messages of half an hour came late."""

from typing import Any

from api.examples import ONLINE_RATE

_STATES = ("online", "fault", "offline", "unknown", "excluded", "not_commissioned", "retired")
_RATE_MEMBERS = (
    *("running", "total", "value", "percent", "percent_upper", "determined", "bounds", "states", "adjusted"),
)


def _change(amount: int) -> dict[str, Any]:
    states = dict.fromkeys(_STATES, 0) | {"online": amount, "offline": -amount}
    return {
        "running": amount,
        "total": 0,
        "unknown": 0,
        "states": states,
        "adjusted": {"numerator": amount, "denominator": 0},
    }


def _rate(running: int, total: int) -> dict[str, Any]:
    share, percent = running / total, f"{100 * running / total:.1f}"
    down = total - running
    said = {name: ONLINE_RATE[name] for name in _RATE_MEMBERS}
    return said | {
        "running": running,
        "total": total,
        "value": share,
        "percent": percent,
        "percent_upper": percent,
        "determined": True,
        "bounds": [share, share],
        "states": dict.fromkeys(_STATES, 0) | {"online": running, "offline": down},
        "adjusted": {
            "numerator": running,
            "denominator": total,
            "value": share,
            "percent": percent,
            "basis": 1.0,
        },
    }


_OTHERS = ("coverage", "maintenance", "registry", "unexplained")
EXPLANATION: dict[str, Any] = {
    "name": "online-rate",
    "from": "2026-11-23T00:00:00Z",
    "to": "2026-11-23T01:00:00Z",
    "known_at": "2026-11-24T08:00:00Z",
    "calculated_at": "2026-11-24T08:00:00.120Z",
    "community": None,
    "unit": "device_seconds",
    "values": 60,
    "first": "2026-11-23T00:00:00Z",
    "last": "2026-11-23T00:59:00Z",
    "published": _rate(2_919_600, 2_973_600),
    "known": _rate(2_921_400, 2_973_600),
    "difference": _change(1800),
    "reasons": [
        {"reason": "late_data", "devices": 1, "change": _change(1800)},
        *({"reason": reason, "devices": 0, "change": _change(0)} for reason in _OTHERS),
    ],
    "devices_changed": 1,
    "devices": [
        {
            "id": "cam-017",
            "community": "xinjinglou",
            "kind": "camera",
            "reasons": [{"reason": "late_data", "change": _change(1800)}],
        }
    ],
}

"""Examples of answers about maintenance."""

from typing import Any

ENTRY: dict[str, Any] = {
    "id": 7,
    "status": "pending",
    "phase": "over",
    "scope": {"device": None, "kind": None, "community": "xinjinglou", "building": "3号楼", "tag": None},
    "from": "2026-11-23T06:00:00Z",
    "to": "2026-11-23T10:00:00Z",
    "weekly": None,
    "reason": "更换电池",
    "recorded_at": "2026-11-24T01:10:00Z",
    "recorded_by": "user:mei",
    "known_at": None,
    "approved": None,
    "refused": None,
    "cancelled": None,
}
APPROVED: dict[str, Any] = {
    **ENTRY,
    "status": "recorded",
    "known_at": "2026-11-24T02:00:00Z",
    "approved": {"at": "2026-11-24T02:00:00Z", "by": "user:li", "reason": None},
}
REFUSED: dict[str, Any] = {
    **ENTRY,
    "status": "refused",
    "refused": {"at": "2026-11-24T02:00:00Z", "by": "user:li", "reason": "没有工单"},
}
CANCELLED: dict[str, Any] = {
    **APPROVED,
    "status": "cancelled",
    "cancelled": {"at": "2026-11-24T03:00:00Z", "by": "user:mei", "reason": "改期"},
}
LIST: dict[str, Any] = {"maintenance": [ENTRY], "next": None}


def _figures(online: int, offline: int, excluded: int, percent: str, adjusted: str) -> dict[str, Any]:
    total = online + offline + excluded
    return {
        "running": 2_700_000,
        "total": total,
        "value": 2_700_000 / total,
        "percent": percent,
        "percent_upper": percent,
        "determined": True,
        "bounds": [2_700_000 / total, 2_700_000 / total],
        "states": {
            "online": online,
            "fault": 0,
            "offline": offline,
            "unknown": 0,
            "excluded": excluded,
            "not_commissioned": 0,
            "retired": 0,
        },
        "adjusted": {
            "numerator": online,
            "denominator": online + offline,
            "value": online / (online + offline),
            "percent": adjusted,
            "basis": 1.0,
        },
    }


_PAIR: dict[str, Any] = {
    "before": _figures(2_700_000, 180_000, 0, "93.8", "93.8"),
    "after": _figures(2_600_000, 20_000, 260_000, "93.8", "99.2"),
}
EFFECT: dict[str, Any] = {
    "from": "2026-11-23T06:00:00Z",
    "to": "2026-11-23T10:00:00Z",
    "at": "2026-11-24T01:10:00Z",
    "devices": 18,
    "period": {"all": _PAIR, "by_community": {"xinjinglou": _PAIR}},
    "now": {"all": _PAIR, "by_community": {"xinjinglou": _PAIR}},
}
ONE: dict[str, Any] = {"entry": ENTRY, "effect": EFFECT}
PREVIEW: dict[str, Any] = {
    "needs_approval": True,
    "fingerprint": "5f1c0a77b4d2e9a1",
    "effect": EFFECT,
}

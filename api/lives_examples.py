"""Examples of answers about the lives of devices."""

from typing import Any

from api.maintenance_examples import EFFECT

STEP: dict[str, Any] = {
    "id": 4,
    "status": "pending",
    "what": "replace",
    "device": "cam-017",
    "successor": "cam-217",
    "at": "2026-11-20T02:00:00Z",
    "reason": "到期更换",
    "recorded_at": "2026-11-24T01:10:00Z",
    "recorded_by": "user:mei",
    "known_at": None,
    "approved": None,
    "refused": None,
    "cancelled": None,
}
APPROVED: dict[str, Any] = {
    **STEP,
    "status": "recorded",
    "known_at": "2026-11-24T02:00:00Z",
    "approved": {"at": "2026-11-24T02:00:00Z", "by": "user:li", "reason": None},
}
REFUSED: dict[str, Any] = {
    **STEP,
    "status": "refused",
    "refused": {"at": "2026-11-24T02:00:00Z", "by": "user:li", "reason": "设备仍在"},
}
CANCELLED: dict[str, Any] = {
    **STEP,
    "status": "cancelled",
    "cancelled": {"at": "2026-11-24T02:00:00Z", "by": "user:mei", "reason": "记错了"},
}
STEPS: dict[str, Any] = {"steps": [STEP], "next": None}
ONE: dict[str, Any] = {"step": STEP, "effect": EFFECT}
PREVIEW: dict[str, Any] = {"needs_approval": True, "fingerprint": "0c4d3f9a12b7e655", "effect": EFFECT}
MOVED: dict[str, Any] = {
    "device": "cam-017",
    "community": "xinjinglou",
    "building": "3号楼",
    "location": "东门",
}
LIFE: dict[str, Any] = {
    "device": "cam-217",
    "events": [
        {
            "what": "registered",
            "at": "2026-11-24T01:10:00Z",
            "known_at": "2026-11-24T01:10:00Z",
            "by": "user:mei",
            "before": {},
            "after": {"community": "xinjinglou", "building": "3号楼"},
        },
        {
            "what": "commissioned",
            "at": "2026-11-20T02:00:00Z",
            "known_at": "2026-11-24T02:00:00Z",
            "by": "user:li",
            "before": {},
            "after": {"commissioned_at": "2026-11-20T02:00:00Z"},
        },
    ],
    "steps": [APPROVED],
    "place": [
        {"device": "cam-017", "from": "2024-05-01T00:00:00Z", "to": "2026-11-20T02:00:00Z"},
        {"device": "cam-217", "from": "2026-11-20T02:00:00Z", "to": None},
    ],
}

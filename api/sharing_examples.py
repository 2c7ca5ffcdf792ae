"""Examples of answers about the data-sharing ratio and the catalogue."""

from typing import Any

KIND: dict[str, Any] = {
    "id": "perimeter_event",
    "name_zh": "周界报警事件",
    "name_en": "Perimeter events",
    "state": "shared",
    "reason": "quiet_acknowledged",
    "quiet": True,
    "freshness_s": 86_400.0,
    "receipt": {
        "outlet": "police",
        "delivery": "police-118",
        "number": 4711,
        "acknowledged": "2026-11-23T07:55:00Z",
        "expires": "2026-11-24T07:54:58Z",
    },
}
_RATIO: dict[str, Any] = {
    "shared": 8,
    "collectable": 8,
    "unknown": 0,
    "value": 1.0,
    "percent": "100.0",
    "percent_upper": "100.0",
    "determined": True,
    "bounds": [1.0, 1.0],
    "kinds": [KIND],
}
RATIO: dict[str, Any] = {
    **_RATIO,
    "score": {"points": 2.0, "of": 2.0, "assumption": True},
    "at": "2026-11-23T08:00:00Z",
    "known_at": "2026-11-23T08:00:00.350Z",
    "calculated_at": "2026-11-23T08:00:00.350Z",
    "by_community": {"xinjinglou": _RATIO},
}
HISTORY: dict[str, Any] = {
    "points": [
        {
            "at": "2026-11-23T08:00:00Z",
            "shared": 7,
            "collectable": 8,
            "unknown": 0,
            "percent": "87.5",
            "percent_upper": "87.5",
            "kinds": {"perimeter_event": ["not_shared", "acknowledged_too_old"]},
            "known_at": "2026-11-23T08:00:01.250Z",
            "sequence": 10422,
            "inputs_digest": "5d" * 32,
            "link": "0a" * 32,
        }
    ]
}
SAYS: dict[str, Any] = {
    "id": "perimeter_event",
    "name_zh": "周界报警事件",
    "name_en": "Perimeter events",
    "sources": ["perimeter_alarm"],
    "schema": {
        "type": "object",
        "required": ["event", "zone"],
        "additionalProperties": False,
        "properties": {
            "ts": {"type": ["number", "string"]},
            "event": {"enum": ["intrusion", "tamper", "cleared", "test"]},
            "zone": {"type": "string", "minLength": 1, "maxLength": 32},
        },
    },
    "freshness_s": 86_400.0,
    "quiet": True,
    "personal": False,
    "masked": {},
}
CATALOGUE: dict[str, Any] = {
    "kinds": [SAYS],
    "at": "2026-11-23T08:00:00Z",
    "known_at": "2026-11-23T08:00:00Z",
}
ONE: dict[str, Any] = {
    "id": "perimeter_event",
    "holds": SAYS,
    "history": [
        {
            "id": "perimeter_event",
            "from": "2026-11-16T00:00:00Z",
            "recorded_at": "2026-11-16T00:00:00Z",
            "said_by": "system:default",
            "says": SAYS,
        }
    ],
}

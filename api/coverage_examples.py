"""Examples of answers about coverage and incidents."""

from typing import Any

COVERAGE: dict[str, Any] = {
    "started_at": "2026-11-16T00:00:00Z",
    "blind": [
        {
            "id": 12,
            "start": "2026-11-23T06:03:10Z",
            "end": "2026-11-23T06:41:02Z",
            "recorded_at": "2026-11-23T08:30:00Z",
            "revoked_at": None,
            "scope": {"device": None, "kind": None, "community": "rongxinyuan"},
            "cause": "confirmed_blindness",
        }
    ],
    "next": None,
}
INCIDENT: dict[str, Any] = {
    "id": 3,
    "community": "rongxinyuan",
    "status": "confirmed",
    "opened_at": "2026-11-23T06:04:40Z",
    "recorded_at": "2026-11-23T06:04:40.200Z",
    "first": "2026-11-23T06:02:12Z",
    "start": "2026-11-23T06:03:10Z",
    "ended_at": "2026-11-23T06:41:02Z",
    "devices": 180,
    "silent": 96,
    "of": 201,
    "confirmed": {"at": "2026-11-23T07:00:00Z", "by": "user:mei", "reason": "光缆被挖断"},
    "approved": None,
    "dismissed": None,
    "blind_id": None,
}
INCIDENTS = {"incidents": [INCIDENT]}

"""Examples of answers for OpenAPI: the 811 of 826 that DOMAIN.md tells of."""

from typing import Any

_RATE: dict[str, Any] = {
    "running": 811,
    "total": 826,
    "value": 0.9818401937046005,
    "percent": "98.2",
    "percent_upper": "98.2",
    "determined": True,
    "states": {
        "online": 811,
        "fault": 3,
        "offline": 12,
        "unknown": 0,
        "excluded": 0,
        "not_commissioned": 1,
        "retired": 0,
    },
    "bounds": [0.9818401937046005, 0.9818401937046005],
    "adjusted": {
        "numerator": 811,
        "denominator": 826,
        "value": 0.9818401937046005,
        "percent": "98.2",
        "basis": 1.0,
    },
}

_GUARDED: dict[str, Any] = {**_RATE, "planned": 826, "late": {"running": 2, "percent": "0.2"}}

ONLINE_RATE: dict[str, Any] = {
    **_GUARDED,
    "timeouts": [{"timeout_s": 90.0, "devices": 420}, {"timeout_s": 180.0, "devices": 406}],
    "unit": "devices",
    "score": {
        "points": 2.0,
        "of": 2.0,
        "full_marks_from": 0.95,
        "basis": 1.0,
        "least_basis": 0.95,
        "assumption": True,
    },
    "at": "2026-11-23T08:00:00Z",
    "known_at": "2026-11-23T08:00:00.350Z",
    "calculated_at": "2026-11-23T08:00:00.350Z",
    "by_community": {"xinjinglou": _GUARDED},
    "by_kind": {"camera": _GUARDED},
}

HISTORY: dict[str, Any] = {
    "points": [
        {
            "at": "2026-11-23T08:00:00Z",
            "numerator": 811,
            "denominator": 826,
            "unknown": 0,
            "percent": "98.2",
            "percent_upper": "98.2",
            "known_at": "2026-11-23T08:00:01.250Z",
            "sequence": 10421,
            "inputs_digest": "5d" * 32,
            "link": "0a" * 32,
        }
    ]
}

PUBLISHED_VERIFIED: dict[str, Any] = {
    "values": 10421,
    "head": "10421:" + "0a" * 32,
    "broken_at": None,
    "reason": None,
    "reason_zh": None,
}

DEVICE: dict[str, Any] = {
    "id": "cam-017",
    "community": "xinjinglou",
    "kind": "camera",
    "name_zh": "3号楼东侧摄像机",
    "name_en": "Camera, east side of building 3",
    "building": "3号楼",
    "location": "东侧出入口",
    "state": "offline",
    "since": "2026-11-23T07:31:12Z",
    "cause": "deadline_passed",
    "evidence_at": "2026-11-23T07:28:12Z",
    "deadline": "2026-11-23T07:31:12Z",
}

DEVICES: dict[str, Any] = {
    "items": [DEVICE],
    "next": "WyJjYW0tMDE3IiwxNzk1NDIwODAwMDAwMDAwLDE3OTU0MjA4MDAzNTAwMDAsIjRmNTNjZGExOGMyYiJd",
    "total": 15,
    "at": "2026-11-23T08:00:00Z",
    "known_at": "2026-11-23T08:00:00.350Z",
}

DEVICES_CSV = (
    "id,community,kind,name_zh,name_en,building,location,state,since,cause,evidence_at,deadline\r\n"
    'cam-017,xinjinglou,camera,3号楼东侧摄像机,"Camera, east side of building 3",3号楼,东侧出入口,offline,'
    "2026-11-23T07:31:12Z,deadline_passed,2026-11-23T07:28:12Z,2026-11-23T07:31:12Z\r\n"
)

INTERVALS: dict[str, Any] = {
    "device": "cam-017",
    "intervals": [
        {
            "state": "online",
            "from": "2026-11-23T07:00:00Z",
            "to": "2026-11-23T07:31:12Z",
            "duration_s": 1872.0,
        },
        {
            "state": "offline",
            "from": "2026-11-23T07:31:12Z",
            "to": "2026-11-23T08:00:00Z",
            "duration_s": 1728.0,
        },
    ],
    "states": {"online": 1872.0, "offline": 1728.0},
    "from": "2026-11-23T07:00:00Z",
    "to": "2026-11-23T08:00:00Z",
    "known_at": "2026-11-23T08:00:00.350Z",
}

DEVICE_DETAIL: dict[str, Any] = {
    "device": {
        **{
            name: DEVICE[name]
            for name in ("id", "community", "kind", "name_zh", "name_en", "building", "location")
        },
        "tags": ["出入口"],
        "vendor": "",
        "model": "",
        "serial": "",
        "timeout_s": 180.0,
        "max_lateness_s": 0.0,
        "clock_untrusted": False,
        "commissioned_at": "2026-11-16T00:00:00Z",
        "retired_at": None,
    },
    **{name: DEVICE[name] for name in ("state", "since", "cause", "evidence_at", "deadline")},
    "window": {
        "from": "2026-11-23T07:28:12Z",
        "to": "2026-11-23T07:31:12Z",
        "timeout_s": 180.0,
        "whole": True,
        "blind": [],
    },
    "messages": [
        {
            "observed_at": "2026-11-23T07:28:12Z",
            "measured_at": "2026-11-23T07:28:11.950Z",
            "evidence": "beat",
            "channel": "heartbeat",
            "fault": None,
            "seq": 4711,
            "retained": False,
            "queued": False,
            "metrics": {"temperature": 41.5},
            "proves": ["2026-11-23T07:28:12Z"],
            "decides": True,
        }
    ],
    "messages_since": "2026-10-24T00:00:00Z",
    "messages_deleted": False,
    "messages_unavailable": False,
    "intervals": INTERVALS["intervals"],
    "at": "2026-11-23T08:00:00Z",
    "known_at": "2026-11-23T08:00:00.350Z",
}

COLLECTOR: dict[str, Any] = {
    "listening": True,
    "stale": False,
    "blind_since": None,
    "at": "2026-11-23T08:00:00Z",
    "started_at": "2026-11-16T00:00:00Z",
    "watermark": {
        "through": "2026-11-23T08:00:00Z",
        "written_at": "2026-11-23T08:00:00.050Z",
        "age_s": 0.35,
        "session": "7f3a",
    },
    "spool": {
        "told_at": "2026-11-23T08:00:00Z",
        "messages": 14,
        "bytes": 1206,
        "oldest_age_s": 0.4,
        "in_per_s": 27.5,
        "out_per_s": 27.5,
        "share": 0.0001,
        "drained_in_s": None,
        "stalled": None,
        "stalled_since": None,
    },
    "quarantined": {"not_utf8": 2},
    "discovered": 1,
}

EVENTS = (
    "retry: 2000\nid: 41\n\n"
    "event: transition\nid: 42\n"
    'data: {"device":"cam-017","before":"online","after":"offline","at":"2026-11-23T07:31:12Z",'
    '"recorded_at":"2026-11-23T07:31:12.4Z"}\n\n'
)

"""Examples of answers about statistics for OpenAPI: a camera that fell silent twice in November."""

from typing import Any

_RATE: dict[str, Any] = {
    "running": 2590272,
    "total": 2592000,
    "value": 0.9993333333333333,
    "percent": "99.9",
    "percent_upper": "99.9",
    "determined": True,
    "states": {
        "online": 2590272,
        "fault": 0,
        "offline": 1728,
        "unknown": 0,
        "excluded": 0,
        "not_commissioned": 0,
        "retired": 0,
    },
    "bounds": [0.9993333333333333, 0.9993333333333333],
    "adjusted": {
        "numerator": 2590272,
        "denominator": 2592000,
        "value": 0.9993333333333333,
        "percent": "99.9",
        "basis": 1.0,
    },
}

_SAID: dict[str, Any] = {
    "availability": _RATE,
    "down_s": 1728,
    "outages": 2,
    "open": 1,
    "longest": {
        "device": "cam-017",
        "down_s": 1488,
        "from": "2026-11-23T07:35:12Z",
        "to": None,
    },
    "failures": 2,
    "operating_s": 2590272,
    "mtbf_s": 1295136.0,
    "restored": 1,
    "restoration_s": 240,
    "mttr_s": 240.0,
    "faults_per_device_year": 24.333333333333332,
    "device_years": 0.0821917808219178,
    "determined": True,
}

_ABOUT: dict[str, Any] = {
    "from": "2026-10-24T08:00:00Z",
    "to": "2026-11-23T08:00:00Z",
    "known_at": "2026-11-23T08:00:00Z",
    "calculated_at": "2026-11-23T08:00:00.350Z",
    "flapping_terms": {"changes": 6, "window_s": 1800.0},
}

_FLAPPING = {"now": False, "episodes": 0, "seconds": 0}

_GROUP: dict[str, Any] = {
    "devices": 1,
    **_SAID,
    "flapping": {"now": 0, "devices": 0, "episodes": 0, "seconds": 0},
    "above": {
        "threshold": 95.0,
        "devices": 1,
        "devices_upper": 1,
        "of": 1,
        "adjusted": 1,
        "adjusted_of": 1,
    },
}

STATISTICS: dict[str, Any] = {
    **_GROUP,
    "by_community": {"xinjinglou": _GROUP},
    "by_kind": {"camera": _GROUP},
    **_ABOUT,
}

OF_DEVICE: dict[str, Any] = {**_SAID, "flapping": _FLAPPING, **_ABOUT}

DEVICE: dict[str, Any] = {"device": "cam-017", **OF_DEVICE}

DEVICES: dict[str, Any] = {
    "items": [
        {
            "id": "cam-017",
            "community": "xinjinglou",
            "kind": "camera",
            "name_zh": "3号楼东侧摄像机",
            "name_en": "Camera, east side of building 3",
            "building": "3号楼",
            "location": "东侧出入口",
            **_SAID,
            "flapping": _FLAPPING,
            "above": True,
        }
    ],
    "next": "WyJjYW0tMDE3IiwxNzk1NDIwODAwMDAwMDAwLDE3OTU0MjA4MDAwMDAwMDAsIjRmNTNjZGExOGMyYiJd",
    "total": 826,
    **_ABOUT,
}

DEVICES_CSV = (
    "id,community,kind,name_zh,name_en,building,location,availability_percent,availability_percent_upper,"
    "adjusted_percent,basis,determined,in_service_s,online_s,down_s,fault_s,offline_s,unknown_s,excluded_s,"
    "outages,open,failures,restored,longest_s,longest_from,longest_to,mtbf_s,mttr_s,faults_per_device_year,"
    "above,flapping,flapping_episodes,flapping_s\r\n"
    'cam-017,xinjinglou,camera,3号楼东侧摄像机,"Camera, east side of building 3",3号楼,东侧出入口,99.9,99.9,'
    "99.9,1.0,true,2592000,2590272,1728,0,1728,0,0,2,1,2,1,1488,2026-11-23T07:35:12Z,,1295136.0,240.0,"
    "24.333333333333332,true,false,0,0\r\n"
)

"""Examples of answers about what departments hold."""

from typing import Any

REPORT: dict[str, Any] = {
    "outlet": "fire",
    "day": "2026-11-23",
    "through": "fire-17",
    "recorded_at": "2026-11-23T08:00:00.200Z",
    "said_by": "token:4 fire",
    "agrees": False,
    "kinds": [
        {
            "data_kind": "gas_reading",
            "ours": {
                "count": 300,
                "digest": "5b0c1f4f6ad9a2b1a2b55d9c6f2a8be6d9c5a2c41a0f3cbe61a0b1c2d3e4f506",
            },
            "theirs": {
                "count": 299,
                "digest": "1f0c1f4f6ad9a2b1a2b55d9c6f2a8be6d9c5a2c41a0f3cbe61a0b1c2d3e4f5a7",
            },
            "verdict": "differs",
        }
    ],
}
REPORTS = {"reports": [REPORT]}
AGAIN: dict[str, Any] = {
    "outlet": "fire",
    "day": "2026-11-23",
    "records": 300,
    "deliveries": [{"id": "fire-18", "again_of": ["fire-3", "fire-4"]}],
    "gone": 0,
    "left": 0,
}

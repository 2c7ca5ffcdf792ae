"""Examples of answers about outlets and deliveries."""

from typing import Any

STATE: dict[str, Any] = {
    "deliveries": 17,
    "waiting": 1,
    "waiting_records": 12,
    "waiting_bytes": 3120,
    "oldest_waiting": "2026-11-23T08:00:00Z",
    "last_made": "2026-11-23T08:00:00Z",
    "error": "503 维护中",
    "next_try": "2026-11-23T08:00:08Z",
    "not_made": None,
    "key": "fire-3f2a91c0",
    "key_fault": None,
    "withheld": {"gas_reading/not_in_service": 2},
}
OUTLET: dict[str, Any] = {
    "id": "fire",
    "name_zh": "消防",
    "name_en": "Fire",
    "department": "消防救援大队",
    "mode": "http",
    "url": "https://fire.example.org/in",
    "topic": "",
    "format": "json",
    "signature": "hmac-sha256",
    "data_kinds": ["gas_reading"],
    "communities": None,
    "fields": {"gas_reading": ["lel_pct", "alarm"]},
    "every_s": None,
    "at": None,
    "most_records": 1000,
    "timeout_s": 30.0,
    "insecure": False,
    "disabled": False,
    "since": "2026-11-23T00:00:00Z",
    "said_by": "cli:root",
    "state": STATE,
}
OUTLETS: dict[str, Any] = {"outlets": [OUTLET]}
TRIED: dict[str, Any] = {"received": True, "detail": "200", "retry_after_s": None}
RETRIED: dict[str, Any] = {"deliveries": 3}
PART: dict[str, Any] = {
    "data_kind": "gas_reading",
    "community": "xinjinglou",
    "count": 12,
    "first": "2026-11-23T07:59:30Z",
    "last": "2026-11-23T07:59:59.500Z",
    "quiet_from": None,
    "quiet_until": None,
}
DELIVERY: dict[str, Any] = {
    "outlet": "fire",
    "delivery": "fire-17",
    "made_at": "2026-11-23T08:00:00Z",
    "state": "waiting",
    "records": 12,
    "size": 3120,
    "format": "json",
    "digest": "9f" * 32,
    "parts": [PART],
    "failed_attempts": 2,
    "error": "503 维护中",
    "next_try": "2026-11-23T08:00:08Z",
    "sent_at": "2026-11-23T08:00:04Z",
    "acknowledged_at": None,
}
DELIVERIES: dict[str, Any] = {"deliveries": [DELIVERY], "next": "fire-17"}
RECEIPT: dict[str, Any] = {
    "number": 41,
    "outlet": "fire",
    "delivery": "fire-16",
    "digest": "9f" * 32,
    "parts": [PART],
    "answer": {"status": 200, "body": ""},
    "sent_at": "2026-11-23T07:59:00Z",
    "acknowledged_at": "2026-11-23T07:59:00.120Z",
    "recorded_at": "2026-11-23T07:59:00.120Z",
    "previous": "0" * 64,
    "link": "1c" * 32,
}
RECEIPTS: dict[str, Any] = {"receipts": [RECEIPT], "next": 41}
ACCESS: dict[str, Any] = {
    "id": 113,
    "at": "2026-11-23T08:00:04Z",
    "outlet": "fire",
    "delivery": "fire-17",
    "action": "send",
    "actor": "system:scheduler",
    "address": "fire.example.org:443",
    "outcome": "failed",
    "detail": "503 维护中",
}
ACCESSES: dict[str, Any] = {"accesses": [ACCESS], "next": 113}
_STEP: dict[str, Any] = {"records": 1440, "newest": "2026-11-23T07:59:59Z", "quiet_until": None}
FUNNEL: dict[str, Any] = {
    "from": "2026-11-22T08:00:00Z",
    "to": "2026-11-23T08:00:00Z",
    "rows": [
        {
            "outlet": "fire",
            "data_kind": "gas_reading",
            "collectable": True,
            "collected": _STEP,
            "outbox": _STEP,
            "sent": _STEP,
            "acknowledged": {**_STEP, "records": 1428, "newest": "2026-11-23T07:59:00Z"},
            "acknowledged_at": "2026-11-23T07:59:00.120Z",
            "withheld": {},
            "stuck": {
                "reason": "not_sent",
                "zh": "fire-17 未送达：503 维护中；2026-11-23T08:00:08Z 再试",
                "en": "fire-17 did not arrive: 503 维护中; next try at 2026-11-23T08:00:08Z",
            },
        }
    ],
}
PULLED: dict[str, Any] = {
    "deliveries": [
        {
            "delivery": "street-5",
            "cursor": "street-5",
            "content_type": "application/json",
            "content_digest": "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
            "signature_input": 'pulse=("content-type" "content-digest" "delivery");created=1795420800'
            ';keyid="street-3f2a91c0";alg="ed25519"',
            "signature": "pulse=:AAAA:",
            "body": {
                "form": 1,
                "delivery": "street-5",
                "outlet": "street",
                "created": "2026-11-23T08:00:00Z",
                "records": [],
                "quiet": [],
            },
        }
    ],
    "cursor": "street-5",
    "more": False,
}
COMMITTED: dict[str, Any] = {"cursor": "street-5", "receipts": 1}

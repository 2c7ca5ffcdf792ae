"""Examples of answers about accounts, tokens, credentials and the audit log."""

ME = {
    "actor": "token:17 alice",
    "role": "evaluator",
    "permissions": ["devices:read", "indicators:read"],
    "communities": ["xinjinglou"],
    "outlets": [],
}
USER = {
    "name": "alice",
    "display": "",
    "role": "evaluator",
    "communities": ["xinjinglou"],
    "outlets": [],
    "disabled": False,
    "has_password": True,
    "created_at": "2026-11-23T08:00:00Z",
}
USERS = {"users": [USER]}
INVITED = {**USER, "has_password": False, "invitation": "0A1B2-C3D4E-5F6G7-H8J9K-MNPQR"}
SESSIONS = {
    "sessions": [
        {
            "number": 3,
            "created_at": "2026-11-23T08:00:00Z",
            "last_used_at": "2026-11-23T08:05:00Z",
            "expires_at": "2026-11-23T20:00:00Z",
            "address": "192.0.2.7",
            "agent": "Mozilla/5.0",
        }
    ]
}
ENDED = {"ended": True}
TOKEN = {
    "number": 17,
    "hint": "pulse_Ab12",
    "label": "monthly report",
    "owner": "alice",
    "scopes": ["devices:read"],
    "communities": None,
    "created_at": "2026-11-23T08:00:00Z",
    "expires_at": "2027-02-21T08:00:00Z",
    "last_used_at": None,
    "last_address": None,
    "revoked_at": None,
}
TOKENS = {"tokens": [TOKEN]}
NEW_TOKEN = {**TOKEN, "token": "pulse_…"}
CREDENTIAL = {"device": "cam-017", "password": "…", "generation": 2, "broker": "reloaded"}
REVOKED = {"ended": True, "broker": "reloaded"}
AUDIT = {
    "entries": [
        {
            "number": 41,
            "at": "2026-11-23T08:00:00Z",
            "actor": "user:root",
            "origin": "192.0.2.7",
            "action": "user.create",
            "outcome": "done",
            "subject": "user:alice",
            "community": None,
            "before": None,
            "after": {"name": "alice", "role": "evaluator"},
        }
    ],
    "next": None,
}
VERIFIED = {"entries": 41, "head": "41:" + "0" * 64, "broken_at": None, "reason": None}

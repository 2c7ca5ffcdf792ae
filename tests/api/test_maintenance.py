"""Maintenance over the API: recorded at once or previewed and approved, by community; none is deleted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pulse.access.roles import Role
from pulse.clock import HOUR_US, SECOND_US, to_iso
from pulse.stores.relational import audit
from tests.api.site import END, T0, Site
from tests.api.who import WHO, A, B, Crowd, Who, closed, told_of

MANAGER = Who(Role.MANAGER, frozenset({A}))
PATH = "/api/v1/maintenance"
EARLY = T0 - HOUR_US
"""Too long ago to be recorded by one person."""
SOON = {"community": A, "from": to_iso(END), "to": to_iso(END + HOUR_US), "reason": "换电池"}
LATE = {"community": A, "from": to_iso(EARLY), "to": to_iso(END), "reason": "换电池"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        site.live()
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(closed(site), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def crowd(site: Site) -> Crowd:
    return Crowd(site)


def post(client: TestClient, headers: dict[str, str], path: str, body: object = None) -> Any:
    answer = client.post(PATH + path, headers=headers, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def recorded_late(client: TestClient, headers: dict[str, str], **members: object) -> Any:
    """An entry that waits, looked at before."""
    body = {**LATE, **members}
    seen = post(client, headers, "/preview", body)
    assert seen["needs_approval"]
    return post(client, headers, "", {**body, "preview": seen["fingerprint"]})


def test_what_is_planned_counts_at_once(site: Site, client: TestClient, crowd: Crowd) -> None:
    headers = crowd.headers(MANAGER)
    entry = post(client, headers, "", SOON)
    assert (entry["status"], entry["phase"], entry["known_at"]) == (
        "recorded",
        "running",
        entry["recorded_at"],
    )
    site.mark(END + SECOND_US)
    found = client.get("/api/v1/devices?state=excluded", headers=headers).json()["items"]
    assert {device["community"] for device in found} == {A}


def test_what_began_long_ago_is_saved_only_with_its_preview(
    site: Site, client: TestClient, crowd: Crowd
) -> None:
    headers = crowd.headers(MANAGER)
    for preview in (None, "5f1c0a77b4d2e9a1"):
        refused = client.post(PATH, headers=headers, json={**LATE, "preview": preview})
        assert refused.status_code == 409, refused.text
        assert "preview" in refused.json()["detail"]
    assert client.get(PATH, headers=headers).json()["maintenance"] == []


def test_a_preview_tells_the_effect_and_saves_nothing(site: Site, client: TestClient, crowd: Crowd) -> None:
    headers = crowd.headers(MANAGER)
    period = f"/api/v1/indicators/online-rate?from={to_iso(EARLY)}&to={to_iso(END)}"
    before = client.get(period, headers=headers).json()
    effect = post(client, headers, "/preview", LATE)["effect"]
    assert client.get(period, headers=headers).json()["states"] == before["states"]
    assert client.get(PATH, headers=headers).json()["maintenance"] == []
    told = effect["period"]["by_community"][A]
    assert told["before"]["states"] == before["by_community"][A]["states"]
    assert told["after"]["states"]["excluded"] > 0
    assert told["after"]["running"] == told["before"]["running"]
    assert not told_of(str(effect))


def test_another_person_approves_and_the_past_is_answered_as_it_was_known(
    site: Site, client: TestClient, crowd: Crowd
) -> None:
    first, second = crowd.headers(MANAGER), crowd.headers(MANAGER)
    entry = recorded_late(client, first)
    assert (entry["status"], entry["known_at"], entry["phase"]) == ("pending", None, "over")
    period = f"/api/v1/indicators/online-rate?from={to_iso(EARLY)}&to={to_iso(END)}"
    before = client.get(period, headers=first).json()
    same = client.post(f"{PATH}/{entry['id']}/approve", headers=first)
    assert same.status_code == 409
    assert "somebody else" in same.json()["detail"] or "以外的人" in same.json()["detail"]
    looked = client.get(f"{PATH}/{entry['id']}", headers=second).json()
    site.mark(END + 60 * SECOND_US)
    approved = post(client, second, f"/{entry['id']}/approve")
    assert approved["status"] == "recorded"
    site.mark(END + 120 * SECOND_US)
    after = client.get(period, headers=first).json()
    assert looked["effect"]["period"]["all"]["after"]["states"] == after["states"]
    then = client.get(f"{period}&known_at={to_iso(END)}", headers=first).json()
    assert then["states"] == before["states"] != after["states"]
    assert client.get(f"{PATH}/{entry['id']}", headers=first).json()["effect"] is None


def test_refused_and_cancelled_entries_stay_in_the_list(site: Site, client: TestClient, crowd: Crowd) -> None:
    first, second = crowd.headers(MANAGER), crowd.headers(MANAGER)
    post(client, first, "", SOON)
    waiting = recorded_late(client, first)
    post(client, second, f"/{waiting['id']}/refuse", {"reason": "没有工单"})
    post(client, second, "/1/cancel", {"reason": "改期"})
    listed = client.get(PATH, headers=first).json()["maintenance"]
    assert [(e["id"], e["status"]) for e in listed] == [(2, "refused"), (1, "cancelled")]
    for status, ids in (("refused", [2]), ("pending", [])):
        found = client.get(f"{PATH}?status={status}", headers=first).json()
        assert [e["id"] for e in found["maintenance"]] == ids
    page = client.get(f"{PATH}?limit=1", headers=first).json()
    rest = client.get(f"{PATH}?limit=1&cursor={page['next']}", headers=first).json()
    assert [e["id"] for e in rest["maintenance"]] == [1]
    assert client.get(f"{PATH}?status=open", headers=first).status_code == 422
    with site.db.read() as connection:
        actions = [e.action for e in audit.walk(connection) if e.action.startswith("maintenance")]
    assert actions == [f"maintenance.{act}" for act in ("record", "record", "refuse", "cancel")]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({**SOON, "community": B}, "community"),
        ({**SOON, "community": None}, "scope"),
        ({**SOON, "community": None, "tag": "室外"}, "community"),
        ({**SOON, "building": "99"}, "building"),
        ({**SOON, "from": "yesterday"}, "from"),
        ({**SOON, "to": SOON["from"]}, "to"),
        ({**SOON, "reason": " "}, "reason"),
        ({**SOON, "weekdays": [8]}, "weekdays"),
        ({**SOON, "daily_from": "22:00"}, "weekdays"),
        ({**SOON, "weekdays": [1], "daily_from": "25:00"}, "daily_from"),
        ({**SOON, "weekdays": ["1"]}, "weekdays"),
        ({**SOON, "until": "x"}, "until"),
        ({"community": A, "to": SOON["to"], "reason": "x"}, "from"),
    ],
)
def test_what_cannot_be_is_named(
    client: TestClient, crowd: Crowd, body: dict[str, object], parameter: str
) -> None:
    headers = crowd.headers(MANAGER)
    for path in ("", "/preview"):
        answer = client.post(PATH + path, headers=headers, json=body)
        assert answer.status_code == 422, answer.text
        assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_a_recurring_entry_is_told_with_its_times_and_zone(client: TestClient, crowd: Crowd) -> None:
    body = {**SOON, "to": to_iso(END + 14 * 24 * HOUR_US), "weekdays": [4, 1], "daily_from": "22:00"}
    entry = post(client, crowd.headers(MANAGER), "", body)
    assert entry["weekly"] == {
        "weekdays": [1, 4],
        "daily_from": "22:00",
        "daily_to": "00:00",
        "timezone": "Asia/Shanghai",
    }
    assert entry["phase"] == "planned"


def test_an_entry_of_another_community_is_as_none_and_the_attempt_is_noted(
    site: Site, client: TestClient, crowd: Crowd
) -> None:
    entry = post(client, crowd.headers(WHO["admin"]), "", {**SOON, "community": B})
    headers = crowd.headers(MANAGER)
    assert client.get(f"{PATH}/{entry['id']}", headers=headers).status_code == 404
    stranger = client.post(f"{PATH}/{entry['id']}/cancel", headers=headers, json={"reason": "x"})
    assert stranger.status_code == 404
    assert client.get(PATH, headers=headers).json()["maintenance"] == []
    with site.db.read() as connection:
        noted = [e for e in audit.walk(connection) if e.outcome == "refused"]
    assert [(e.subject, e.community) for e in noted] == [(f"maintenance:{entry['id']}", B)] * 2

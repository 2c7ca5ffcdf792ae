"""Blind intervals and incidents over the API: what is told to whom, and who decides."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.reach import told
from pulse.access.roles import Role
from pulse.clock import SECOND_US, to_iso
from pulse.ledger.correlated import Incident
from pulse.ledger.model import FOREVER, Blind, Scope
from pulse.stores.relational import audit, coverage, events, incidents
from tests.api.site import END, T0, Site
from tests.api.who import WHO, A, B, Crowd, Who, closed

MANAGER = Who(Role.MANAGER, frozenset({A}))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        site.live()
        with site.db.write() as connection:
            incidents.put(connection, Incident(A, END - 9, END - 99, END - 90, 5, 5, 7), END)
            incidents.put(connection, Incident(B, END - 8, END - 99, END - 90, 2, 2, 2, ended=END - 1), END)
            coverage.record(connection, Blind(T0, T0 + 60 * SECOND_US, T0 + 61 * SECOND_US, cause="down"))
            for community in (A, B):
                own = Scope(community=community)
                coverage.record(connection, Blind(T0, FOREVER, END, scope=own, cause="confirmed_blindness"))
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(closed(site), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def crowd(site: Site) -> Crowd:
    return Crowd(site)


def asked(client: TestClient, path: str, headers: dict[str, str]) -> Any:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_coverage_tells_scope_cause_and_both_times(client: TestClient, crowd: Crowd) -> None:
    body = asked(client, "/api/v1/coverage", crowd.headers(WHO["admin"]))
    assert body["started_at"] == to_iso(T0)
    assert [one["scope"]["community"] for one in body["blind"]] == [B, A, None]
    assert body["blind"][2] == {
        "id": 1,
        "start": to_iso(T0),
        "end": to_iso(T0 + 60 * SECOND_US),
        "recorded_at": to_iso(T0 + 61 * SECOND_US),
        "revoked_at": None,
        "scope": {"device": None, "kind": None, "community": None},
        "cause": "down",
    }


def test_coverage_is_asked_by_time_knowledge_and_page(client: TestClient, crowd: Crowd) -> None:
    headers = crowd.headers(WHO["admin"])

    def ids(query: str) -> list[int]:
        return [one["id"] for one in asked(client, f"/api/v1/coverage?{query}", headers)["blind"]]

    assert ids(f"from={to_iso(T0 + 60 * SECOND_US)}") == [3, 2]
    assert ids(f"known_at={to_iso(T0 + 61 * SECOND_US)}") == [1]
    page = asked(client, "/api/v1/coverage?limit=2", headers)
    assert ids(f"cursor={page['next']}&limit=2") == [1]
    wrong = client.get(f"/api/v1/coverage?from={to_iso(END)}&to={to_iso(T0)}", headers=headers)
    assert wrong.status_code == 422
    assert client.get("/api/v1/coverage?form=1", headers=headers).status_code == 422


def test_readers_of_one_community_see_its_entries_and_those_of_everybody(
    client: TestClient, crowd: Crowd
) -> None:
    headers = crowd.headers(MANAGER)
    blind = asked(client, "/api/v1/coverage", headers)["blind"]
    assert [one["id"] for one in blind] == [2, 1]
    assert [one["id"] for one in asked(client, "/api/v1/incidents", headers)["incidents"]] == [1]
    assert client.get(f"/api/v1/incidents?community={B}", headers=headers).status_code == 422


def test_incidents_are_listed_by_state(client: TestClient, crowd: Crowd) -> None:
    headers = crowd.headers(WHO["admin"])
    assert len(asked(client, "/api/v1/incidents?status=suspected", headers)["incidents"]) == 2
    assert asked(client, "/api/v1/incidents?status=approved", headers)["incidents"] == []
    assert client.get("/api/v1/incidents?status=open", headers=headers).status_code == 422


def test_one_confirms_and_another_approves(client: TestClient, crowd: Crowd) -> None:
    first, second = crowd.headers(MANAGER), crowd.headers(MANAGER)
    reason = {"reason": "光缆被挖断"}
    done = client.post("/api/v1/incidents/1/confirm", headers=first, json=reason)
    assert done.status_code == 200, done.text
    assert done.json()["confirmed"]["reason"] == "光缆被挖断"
    refused = client.post("/api/v1/incidents/1/approve", headers=first)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/conflict")
    assert "someone-1" in refused.json()["detail"]
    approved = client.post("/api/v1/incidents/1/approve", headers=second)
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    newest = asked(client, "/api/v1/coverage?limit=1", first)["blind"][0]
    assert (newest["id"], newest["cause"]) == (approved.json()["blind_id"], "confirmed_blindness")
    withdrawn = client.post("/api/v1/incidents/1/dismiss", headers=first, json={"reason": "是停电"})
    assert withdrawn.json()["status"] == "dismissed"
    assert asked(client, "/api/v1/coverage?limit=1", first)["blind"][0]["revoked_at"] is not None


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "more": 1}, {"reason": 5}])
def test_a_decision_without_a_reason_is_refused(
    client: TestClient, crowd: Crowd, body: dict[str, object]
) -> None:
    answer = client.post("/api/v1/incidents/1/confirm", headers=crowd.headers(MANAGER), json=body)
    assert answer.status_code == 422


def test_who_asks_for_another_communitys_incident_is_in_the_log(
    site: Site, client: TestClient, crowd: Crowd
) -> None:
    answer = client.post("/api/v1/incidents/2/approve", headers=crowd.headers(MANAGER))
    assert answer.status_code == 404
    with site.db.read() as connection:
        last = list(audit.walk(connection))[-1]
    assert (last.outcome, last.subject, last.community) == ("refused", "incident:2", B)


def test_live_events_of_incidents_are_for_who_sees_the_community(site: Site) -> None:
    with site.db.write() as connection:
        for entry in incidents.listing(connection):
            events.append(connection, [incidents.event(entry, END)])
        found = [e for e in events.after(connection, 0, 99) if e.topic == "incident"]
    assert [e.body["community"] for e in found if told(e, frozenset({A}))] == [A]
    assert len([e for e in found if told(e, None)]) == 2


def test_open_questions_are_a_metric(client: TestClient, crowd: Crowd) -> None:
    text = client.get("/metrics", headers=crowd.headers(WHO["admin"])).text
    for community in (A, B):
        assert f'pulse_incidents_unsettled{{community="{community}",status="suspected"}} 1.0' in text

"""The lives of devices over the API: steps previewed and approved, moves, and what is told of a life."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pulse.access.roles import Role
from pulse.clock import HOUR_US, SECOND_US, to_iso
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import registry
from tests.api.site import END, T0, Site
from tests.api.who import WHO, A, Crowd, Who, closed

MANAGER = Who(Role.MANAGER, frozenset({A}))
PATH = "/api/v1/life-changes"
LATE = {"device": "cam-90", "what": "retire", "at": to_iso(END - 2 * HOUR_US), "reason": "早已拆除"}
SOON = {"device": "cam-1", "what": "retire", "at": to_iso(END), "reason": "到期"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        old = DeviceRecord("cam-90", A, "camera", commissioned_us=1, commissioned_recorded_us=1)
        with site.db.write() as connection:
            registry.put_devices(connection, [old], T0)
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
    answer = client.post(path, headers=headers, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_late_step_is_previewed_approved_and_known_from_then_on(
    site: Site, client: TestClient, crowd: Crowd
) -> None:
    first, second = crowd.headers(MANAGER), crowd.headers(MANAGER)
    assert client.post(PATH, headers=first, json=LATE).status_code == 409
    seen = post(client, first, f"{PATH}/preview", LATE)
    assert seen["needs_approval"]
    assert seen["effect"]["devices"] == 1
    before, after = (seen["effect"]["now"]["by_community"][A][name]["total"] for name in ("before", "after"))
    assert after == before - 1
    entry = post(client, first, PATH, {**LATE, "preview": seen["fingerprint"]})
    assert (entry["status"], entry["known_at"]) == ("pending", None)
    assert client.post(f"{PATH}/{entry['id']}/approve", headers=first).status_code == 409
    assert client.get(f"{PATH}/{entry['id']}", headers=second).json()["effect"]["devices"] == 1
    assert post(client, second, f"{PATH}/{entry['id']}/approve")["status"] == "recorded"
    site.mark(END + 2 * SECOND_US)
    rate = "/api/v1/indicators/online-rate"
    now = client.get(rate, headers=first).json()
    then = client.get(f"{rate}?known_at={to_iso(END)}", headers=first).json()
    assert now["states"]["retired"] == then["states"]["retired"] + 1
    assert client.get(f"{PATH}/{entry['id']}", headers=second).json()["effect"] is None


def test_what_waits_is_refused_or_withdrawn_with_a_reason(client: TestClient, crowd: Crowd) -> None:
    headers = crowd.headers(MANAGER)
    body = {**LATE, "preview": post(client, headers, f"{PATH}/preview", LATE)["fingerprint"]}
    for what, status in (("refuse", "refused"), ("cancel", "cancelled")):
        entry = post(client, headers, PATH, body)
        assert post(client, headers, f"{PATH}/{entry['id']}/{what}", {"reason": "x"})["status"] == status
    listed = client.get(f"{PATH}?limit=1", headers=headers).json()
    assert [e["status"] for e in listed["steps"]] == ["cancelled"]
    rest = client.get(f"{PATH}?cursor={listed['next']}&status=refused", headers=headers).json()
    assert [e["id"] for e in rest["steps"]] == [1]
    assert client.get(f"{PATH}?status=x", headers=headers).status_code == 422


def test_a_replacement_and_a_move_are_in_the_life_with_their_authors(
    site: Site, client: TestClient, crowd: Crowd
) -> None:
    headers = crowd.headers(MANAGER)
    moved = post(client, headers, "/api/v1/devices/cam-1/move", {"building": "9号楼", "reason": "改造"})
    assert moved["building"] == "9号楼"
    post(client, headers, PATH, {**SOON, "what": "replace", "successor": "cam-101"})
    told = client.get("/api/v1/devices/cam-101/life", headers=headers).json()
    assert [one["what"] for one in told["events"]] == ["registered", "commissioned"]
    assert told["events"][0]["after"]["building"] == "9号楼"
    assert all(one["by"].startswith("user:someone") for one in told["events"])
    assert [stay["device"] for stay in told["place"]] == ["cam-1", "cam-101"]
    old = client.get("/api/v1/devices/cam-1/life", headers=headers).json()
    assert [one["what"] for one in old["events"]][-2:] == ["moved", "retired"]
    assert old["steps"][0]["successor"] == "cam-101"


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({**SOON, "device": "cam-5"}, "device"),
        ({**SOON, "at": "soon"}, "at"),
        ({**SOON, "what": "sell"}, "what"),
        ({**SOON, "what": "replace"}, "successor"),
        ({**SOON, "successor": "cam-9"}, "successor"),
        ({**SOON, "reason": ""}, "reason"),
        ({**SOON, "author": "x"}, "author"),
    ],
)
def test_what_cannot_be_is_named(
    client: TestClient, crowd: Crowd, body: dict[str, object], parameter: str
) -> None:
    headers = crowd.headers(MANAGER)
    for path in (PATH, f"{PATH}/preview"):
        answer = client.post(path, headers=headers, json=body)
        assert answer.status_code == 422, answer.text
        assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_other_communities_devices_and_steps_are_as_none(client: TestClient, crowd: Crowd) -> None:
    admin, headers = crowd.headers(WHO["admin"]), crowd.headers(MANAGER)
    entry = post(client, admin, PATH, {**SOON, "device": "cam-5"})
    for address in ("/api/v1/devices/cam-5/life", f"{PATH}/{entry['id']}"):
        assert client.get(address, headers=headers).status_code == 404
    moved = client.post("/api/v1/devices/cam-5/move", headers=headers, json={"building": "1", "reason": "x"})
    assert moved.status_code == 404
    assert client.get(PATH, headers=headers).json()["steps"] == []


def test_devices_are_listed_as_they_were_registered_then(
    site: Site, client: TestClient, crowd: Crowd
) -> None:
    headers = crowd.headers(MANAGER)
    before = _building(client, headers, "")
    post(client, headers, "/api/v1/devices/cam-1/move", {"building": "9号楼", "reason": "改造"})
    post(client, headers, PATH, {**SOON, "what": "replace", "successor": "cam-101"})
    site.mark(END + 2 * SECOND_US)
    assert _building(client, headers, "") == {**before, "cam-1": "9号楼", "cam-101": "9号楼"}
    assert _building(client, headers, f"&known_at={to_iso(END)}") == before
    assert T0 < END


def _building(client: TestClient, headers: dict[str, str], query: str) -> dict[str, str]:
    found = client.get(f"/api/v1/devices?limit=1000{query}", headers=headers).json()["items"]
    return {item["id"]: item["building"] for item in found}

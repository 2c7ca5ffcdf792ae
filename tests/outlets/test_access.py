"""What people do with outlets, over the API: each change is in the audit log, each sees their own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from pulse.access import keys as tokens
from pulse.access import people
from pulse.access.roles import PERMISSIONS, Role, command_line
from pulse.stores.relational import audit, outlets
from pulse.stores.relational.audit import Filter
from tests.outlets.department import Department, Reply
from tests.outlets.house import House

CLI = command_line("root", "host")
BASE = "/api/v1/sharing"


class Person:
    """Somebody with a token that may all that they may."""

    def __init__(
        self, client: TestClient, house: House, role: Role, communities: list[str] | None = None
    ) -> None:
        self._client = client
        with house.db.write() as connection:
            name = f"{role}-{len(communities or [])}"
            user = people.create(connection, CLI, name, role, house.clock.now, communities=communities)
            scopes = sorted(PERMISSIONS[role])
            made = tokens.create(connection, CLI, user, "test", scopes, None, 30, house.clock.now)
        self._headers = {"Authorization": f"Bearer {made.secret}", "Accept-Language": "en"}

    def ask(self, method: str, path: str, **more: Any) -> Any:
        return self._client.request(method, f"{BASE}{path}", headers=self._headers, **more)

    def metrics(self) -> str:
        """The page that Prometheus reads."""
        answer = self._client.get("/metrics", headers=self._headers)
        assert answer.status_code == 200
        return answer.text

    def get(self, path: str, **query: str) -> Any:
        answer = self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with TestClient(create_app(house.context, pages=False)) as client:
        yield client


@pytest.fixture
def admin(client: TestClient, house: House) -> Person:
    return Person(client, house, Role.ADMIN)


def body(fire: Department, **changes: Any) -> dict[str, Any]:
    base = {"mode": "http", "url": fire.url, "signature": "none", "data_kinds": ["gas_reading"]}
    return base | changes


def log(house: House, action: str) -> list[Any]:
    with house.db.read() as connection:
        return audit.listing(connection, Filter(action=action))


def test_an_outlet_is_set_shown_and_kept_with_who_said_it(
    house: House, admin: Person, fire: Department
) -> None:
    answer = admin.ask("PUT", "/outlets/fire", json=body(fire, name_zh="消防"))
    assert answer.status_code == 200
    assert admin.get("/outlets/fire") == answer.json()
    shown = answer.json()
    assert (shown["name_zh"], shown["url"], shown["mode"]) == ("消防", fire.url, "http")
    assert shown["said_by"].startswith("token:")
    assert shown["state"]["deliveries"] == 0
    (entry,) = log(house, "outlet.put")
    assert (entry.subject, json.loads(entry.after)["name_zh"]) == ("outlet:fire", "消防")
    assert entry.before is None
    assert admin.ask("PUT", "/outlets/fire", json=body(fire, name_zh="消防")).status_code == 200
    assert len(log(house, "outlet.put")) == 1, "nothing changed"
    admin.ask("PUT", "/outlets/fire", json=body(fire, disabled=True))
    assert json.loads(log(house, "outlet.put")[0].before)["disabled"] is False


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"url": "http://fire.example/"}, "url"),
        ({"data_kinds": ["nothing"]}, "data_kinds"),
        ({"fields": {"nothing": ["a"]}, "data_kinds": None}, "fields"),
        ({"communities": ["nowhere"]}, "communities"),
        ({"at": "25:00"}, "at"),
        ({"most_records": 0}, "body"),
        ({"password": "x"}, "body"),
        ({"mode": None}, "body"),
    ],
)
def test_what_cannot_be_is_named_and_nothing_is_kept(
    house: House, admin: Person, fire: Department, change: dict[str, Any], parameter: str
) -> None:
    answer = admin.ask("PUT", "/outlets/fire", json=body(fire, **change))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    named = [error["parameter"] for error in answer.json()["errors"]]
    assert parameter in named or parameter == "body"
    with house.db.read() as connection:
        assert outlets.current(connection) == []


def test_a_test_delivery_is_empty_signed_and_no_receipt(
    house: House, admin: Person, fire: Department
) -> None:
    admin.ask("PUT", "/outlets/fire", json=body(fire, signature="hmac-sha256"))
    missing = admin.ask("POST", "/outlets/fire/test").json()
    assert missing["received"] is False
    assert "fire.hmac" in missing["detail"]
    house.keys.make("fire", "hmac-sha256")
    assert admin.ask("POST", "/outlets/fire/test").json()["received"] is True
    (got,) = fire.received
    sent = json.loads(got.body)
    assert (sent["records"], sent["quiet"]) == ([], [])
    assert sent["delivery"].startswith("fire-test-")
    assert "signature" in got.fields
    assert house.receipts() == []
    assert [(a["action"], a["outcome"]) for a in admin.get("/accesses")["accesses"]] == [
        ("test", "done"),
        ("test", "failed"),
    ]


def test_there_is_nothing_to_test_of_an_outlet_that_is_pulled_from(admin: Person) -> None:
    admin.ask("PUT", "/outlets/street", json={"mode": "pull"})
    assert admin.ask("POST", "/outlets/street/test").status_code == 422


def test_what_failed_is_shown_with_its_reason_and_tried_again_on_demand(
    house: House, admin: Person, fire: Department
) -> None:
    fire.answer = lambda _got: Reply(503, b"maintenance")
    admin.ask("PUT", "/outlets/fire", json=body(fire))
    with house.db.read() as connection:
        (outlet,) = outlets.current(connection)
    house.hear(house.record())
    house.build(outlet)
    house.drain(outlet)
    (shown,) = admin.get("/deliveries", outlet="fire")["deliveries"]
    assert (shown["state"], shown["error"], shown["failed_attempts"]) == ("waiting", "503 maintenance", 1)
    house.clock.now += 1
    state = admin.get("/outlets/fire")["state"]
    assert (state["waiting"], state["error"]) == (1, "503 maintenance")
    (row,) = [row for row in admin.get("/funnel")["rows"] if row["outlet"] == "fire"]
    assert row["stuck"]["reason"] == "not_sent"
    assert [row[step]["records"] for step in ("outbox", "sent", "acknowledged")] == [1, 1, 0]
    assert scraped(admin) == {"failing": 1.0, "waiting": 1.0}
    assert admin.ask("POST", "/outlets/fire/retry").json() == {"deliveries": 1}
    assert len(log(house, "outlet.retry")) == 1
    fire.answer = lambda _got: Reply()
    house.drain(outlet)
    (receipt,) = admin.get("/receipts", outlet="fire")["receipts"]
    assert receipt["answer"] == {"status": 200, "body": ""}
    assert receipt["parts"][0]["count"] == 1
    (row,) = [row for row in admin.get("/funnel")["rows"] if row["outlet"] == "fire"]
    assert row["stuck"] is None
    assert scraped(admin) == {"failing": 0.0, "waiting": 0.0}


def scraped(admin: Person) -> dict[str, float]:
    """The figures of the outlet for Prometheus."""
    names = {"pulse_outlets_failing": "failing", 'pulse_outlet_waiting{outlet="fire"}': "waiting"}
    lines = [line.rpartition(" ") for line in admin.metrics().splitlines()]
    return {names[name]: float(value) for name, _, value in lines if name in names}


def test_lists_go_on_where_a_page_ended(house: House, admin: Person, fire: Department) -> None:
    admin.ask("PUT", "/outlets/fire", json=body(fire, most_records=1))
    with house.db.read() as connection:
        (outlet,) = outlets.current(connection)
    house.hear(*(house.record() for _ in range(5)))
    house.build(outlet)
    house.drain(outlet)
    for path, name, key in (
        ("/deliveries", "deliveries", "delivery"),
        ("/receipts", "receipts", "number"),
        ("/accesses", "accesses", "id"),
    ):
        found: list[Any] = []
        query = {"outlet": "fire", "limit": "2"}
        while True:
            page = admin.get(path, **query)
            found += [one[key] for one in page[name]]
            if page["next"] is None:
                break
            query["before"] = str(page["next"])
        assert len(found) == len(set(found)) == 5, path
    assert admin.ask("GET", "/deliveries", params={"outlet": "fire", "before": "gas-1"}).status_code == 422
    assert admin.ask("GET", "/deliveries", params={"outlet": "none"}).status_code == 404


def test_those_of_one_community_see_its_part_and_no_addresses(
    client: TestClient, house: House, admin: Person, fire: Department
) -> None:
    manager = Person(client, house, Role.MANAGER, ["xinjinglou"])
    admin.ask("PUT", "/outlets/fire", json=body(fire))
    admin.ask("PUT", "/outlets/far", json=body(fire, communities=["yiminyuan"]))
    admin.ask("PUT", "/outlets/both", json=body(fire, communities=["xinjinglou", "yiminyuan"]))
    with house.db.read() as connection:
        listed = {outlet.id: outlet for outlet in outlets.current(connection)}
    house.hear(house.record("gas-1"), house.record("gas-2"), house.record("gas-2"))
    for outlet in listed.values():
        house.build(outlet)
        house.drain(outlet)
    seen = manager.get("/outlets")["outlets"]
    assert [outlet["id"] for outlet in seen] == ["both", "fire"]
    assert {outlet["url"] for outlet in seen} == {""}
    assert seen[0]["communities"] == ["xinjinglou"]
    assert manager.ask("GET", "/outlets/far").status_code == 404
    assert [r["outlet"] for r in manager.get("/receipts")["receipts"]] == ["fire", "both"]
    (shown,) = manager.get("/deliveries", outlet="fire")["deliveries"]
    assert (shown["records"], [part["community"] for part in shown["parts"]]) == (1, ["xinjinglou"])
    house.clock.now += 1
    rows = manager.get("/funnel")["rows"]
    assert {row["acknowledged"]["records"] for row in rows if row["outlet"]} == {1}
    assert manager.ask("GET", "/accesses").status_code == 403
    assert manager.ask("PUT", "/outlets/fire", json=body(fire)).status_code == 403


def test_a_funnel_of_a_period_is_asked_for_whole(admin: Person) -> None:
    answer = admin.ask("GET", "/funnel", params={"from": "2026-11-22T00:00:00Z"})
    assert answer.status_code == 422
    longer = {"from": "2026-09-01T00:00:00Z", "to": "2026-11-22T00:00:00Z"}
    assert "31 days" in admin.ask("GET", "/funnel", params=longer).text
    assert admin.ask("GET", "/funnel", params={"outlet": "none"}).status_code == 404

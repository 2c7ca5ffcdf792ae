"""Answers to readers of one community: the same questions, its devices alone, no trace of the others."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api import live, reach
from api.jobs.publish import publish
from pulse.access.roles import Role
from pulse.clock import SECOND_US, to_iso
from pulse.indicators.present import compact, described, figures_of, summed
from pulse.indicators.within import Kept
from pulse.ledger.model import State
from pulse.ledger.rates import Figures
from pulse.messages import Quarantined
from pulse.stores.relational import audit, events, quarantine, registry, sessions, tokens, users
from pulse.stores.relational.events import Event, NewEvent
from tests.api.serving import LiveClient, Running, running
from tests.api.site import END, T0, Site
from tests.api.test_jobs import GO_ON
from tests.api.who import OF_B, WHO, A, B, Crowd, Who, closed, private, told_of

RATE = "/api/v1/indicators/online-rate"
DEVICES = "/api/v1/devices"
OF_A = [*(f"cam-{n}" for n in range(1, 5)), *(f"lock-{n}" for n in range(1, 6))]


@pytest.fixture
def crowd(site: Site) -> Crowd:
    return Crowd(site)


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(closed(site), raise_server_exceptions=False, headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.fixture
def manager(crowd: Crowd) -> dict[str, str]:
    """The headers of a manager of community A."""
    return crowd.headers(WHO["manager of A"])


@pytest.fixture
def viewer(crowd: Crowd) -> dict[str, str]:
    """The headers of somebody who sees everything."""
    return crowd.headers(WHO["viewer of all"])


def get(client: TestClient, headers: dict[str, str], url: str, **query: Any) -> Any:
    answer = client.get(
        url, params={name.rstrip("_"): value for name, value in query.items()}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def at(second: float) -> str:
    return to_iso(T0 + round(second * SECOND_US))


# Figures.


@pytest.mark.parametrize(
    ("query", "running", "total"),
    [({}, 7, 8), ({"at": at(180)}, 8, 8), ({"from_": at(180), "to": at(300)}, 8 * 120, 8 * 120)],
    ids=["now", "then", "a period"],
)
def test_the_whole_rate_is_that_of_the_communities_seen(
    client: TestClient, manager: dict[str, str], query: dict[str, str], running: int, total: int
) -> None:
    answer = get(client, manager, RATE, **query)
    assert (answer["running"], answer["total"]) == (running, total)
    assert answer["score"]["points"] == 1.84 if not query else answer["score"]["points"] == 2.0
    assert list(answer["by_community"]) == [A]
    kinds = answer["by_kind"].values()
    assert sum(part["total"] for part in kinds) == total
    part = answer["by_community"][A]
    assert {name: answer[name] for name in part} == part


def test_answers_that_are_kept_never_mix(
    client: TestClient, manager: dict[str, str], viewer: dict[str, str]
) -> None:
    for _ in range(2):
        for headers, total, rows in ((viewer, 10, 11), (manager, 8, 9)):
            assert get(client, headers, RATE)["total"] == total
            assert get(client, headers, DEVICES)["total"] == rows
            page = client.get("/", headers=headers).text
            assert f"<i>/</i>{total}" in page
            assert bool(told_of(page)) == (headers is viewer)


def test_only_the_last_used_sets_are_kept() -> None:
    kept: Kept[int] = Kept(2)
    kept.put(None, 0)
    kept.put(frozenset("a"), 1)
    assert kept.get(None) == 0
    kept.put(frozenset("b"), 2)
    assert [kept.get(None), kept.get(frozenset("a")), kept.get(frozenset("b"))] == [0, None, 2]


def test_history_sums_the_published_values_of_the_communities_seen(
    site: Site, client: TestClient, crowd: Crowd, manager: dict[str, str], viewer: dict[str, str]
) -> None:
    assert publish(site.context, GO_ON)
    own = get(client, manager, f"{RATE}/history")["points"]
    assert own == get(client, viewer, f"{RATE}/history", community=A)["points"]
    assert own[-1]["denominator"] == 8
    both = crowd.headers(Who(Role.VIEWER, frozenset({A, B})))
    assert get(client, both, f"{RATE}/history") == get(client, viewer, f"{RATE}/history")


def test_history_of_a_kind_is_of_all_communities_and_refused_in_words(
    client: TestClient, manager: dict[str, str], viewer: dict[str, str]
) -> None:
    assert client.get(f"{RATE}/history?kind=camera", headers=viewer).status_code == 200
    answer = client.get(f"{RATE}/history?kind=camera", headers=manager)
    assert answer.status_code == 422
    assert [(e["parameter"], e["code"]) for e in answer.json()["errors"]] == [("kind", "of_all_communities")]


@pytest.mark.parametrize("url", [DEVICES, f"{RATE}/history"])
def test_a_community_that_is_not_seen_is_as_unknown_as_one_that_does_not_exist(
    client: TestClient, manager: dict[str, str], url: str
) -> None:
    hidden, absent = (
        client.get(url, params={"community": name}, headers=manager) for name in (B, "no-such-place")
    )
    assert hidden.status_code == absent.status_code == 422
    assert hidden.text == absent.text.replace("no-such-place", B)


_counts = st.integers(0, 3000)


@st.composite
def _figures(draw: st.DrawFn) -> Figures:
    amounts = draw(st.lists(_counts, min_size=len(State), max_size=len(State)))
    in_service = sum(amounts) - amounts[State.NOT_COMMISSIONED] - amounts[State.RETIRED]
    online = draw(st.integers(0, in_service))
    return Figures(amounts, online, draw(st.integers(0, in_service - online)))


@given(st.lists(_figures(), min_size=1, max_size=4))
def test_what_is_published_of_the_parts_adds_up_to_the_whole(parts: list[Figures]) -> None:
    whole = Figures()
    for part in parts:
        assert figures_of(described(part)) == part
        whole.add(part)
    assert summed(compact(part) for part in parts) == compact(whole)


# Devices.


def test_the_list_and_the_export_hold_the_devices_seen(client: TestClient, manager: dict[str, str]) -> None:
    for query in ({}, {"at": at(300)}, {"q": "cam"}, {"kind": "camera"}, {"state": "offline"}):
        answer = get(client, manager, DEVICES, **query)
        assert {item["id"] for item in answer["items"]} <= set(OF_A)
        assert answer["total"] == len(answer["items"])
    assert [item["id"] for item in get(client, manager, DEVICES)["items"]] == OF_A
    exported = client.get(DEVICES, params={"format": "csv"}, headers=manager)
    assert not told_of(exported.text)
    assert exported.text.count("\n") == len(OF_A) + 1


def test_a_cursor_serves_those_only_who_see_the_same(
    client: TestClient, crowd: Crowd, manager: dict[str, str], viewer: dict[str, str]
) -> None:
    of_all = get(client, viewer, DEVICES, limit=4)["next"]
    own = get(client, manager, DEVICES, limit=4)["next"]
    for headers, foreign in ((manager, of_all), (viewer, own)):
        answer = client.get(DEVICES, params={"cursor": foreign}, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == "cursor_of_other_query"
    colleague = crowd.headers(WHO["viewer of A"])
    rest = get(client, colleague, DEVICES, cursor=own)
    assert [item["id"] for item in rest["items"]] == OF_A[4:]


@pytest.mark.parametrize("url", [f"{DEVICES}/%s", f"{DEVICES}/%s/intervals", "/devices/%s"])
@pytest.mark.parametrize("query", ["", "?at=2026-11-23T00:05:00Z", "?known_at=1999"])
def test_a_device_of_another_community_is_as_unknown_as_one_that_does_not_exist(
    client: TestClient, manager: dict[str, str], url: str, query: str
) -> None:
    if "intervals" in url:
        query = query.replace("?at", "?known_at")
    hidden, absent = (client.get(url % name + query, headers=manager) for name in ("cam-5", "cam-x"))
    assert hidden.status_code == absent.status_code
    assert hidden.status_code >= 400
    assert hidden.text == absent.text.replace("cam-x", "cam-5")
    assert dict(hidden.headers) == dict(absent.headers)


def test_an_export_is_in_the_audit_log_with_its_filters(
    site: Site, client: TestClient, manager: dict[str, str]
) -> None:
    client.get(DEVICES, params={"format": "csv", "kind": "camera", "community": A}, headers=manager)
    client.get(DEVICES, headers=manager)
    with site.db.read() as connection:
        (entry,) = audit.listing(connection, audit.Filter(action="export"))
    assert (entry.actor, entry.subject, entry.community) == ("user:someone-1", "devices", A)
    said = json.loads(entry.after or "{}")
    assert (said["filters"], said["count"]) == ({"community": A, "kind": "camera"}, 4)


def test_what_was_set_aside_is_told_to_those_who_see_all(
    site: Site, client: TestClient, manager: dict[str, str], viewer: dict[str, str]
) -> None:
    with site.db.write() as connection:
        quarantine.put(connection, [(END, Quarantined(END, "bad_json", "", "x", b"?", 1))])
        registry.discover(connection, "new-a", A, "camera", END)
        registry.discover(connection, "new-b", B, "camera", END)
    url = "/api/v1/collector"
    whole, own = get(client, viewer, url), get(client, manager, url)
    assert (whole["quarantined"], whole["discovered"]) == ({"bad_json": 1}, 2)
    assert (own["quarantined"], own["discovered"]) == (None, 1)


# Events.


def indicator(of_a: int, of_b: int, total: int = 8) -> NewEvent:
    """An indicator event as the collector writes it, with so many running in each community."""
    parts = {}
    whole = Figures()
    for name, running_ in ((A, of_a), (B, of_b)):
        own = Figures(online_raw=running_)
        own.amounts[State.ONLINE], own.amounts[State.OFFLINE] = running_, total - running_
        parts[name] = {"name": "online-rate", **described(own), "at": at(600)}
        whole.add(own)
    body = {"name": "online-rate", **described(whole), "at": at(600), "by_community": parts}
    return NewEvent(END, END, "indicator", body)


def transition(device: str, community: str) -> NewEvent:
    body = {
        "device": device,
        "community": community,
        "kind": "camera",
        "before": "online",
        "after": "offline",
    }
    return NewEvent(END, END, "transition", body)


HAPPENED = [
    transition("cam-5", B),
    transition("cam-1", A),
    indicator(7, 0),
    NewEvent(END, END, "coverage", {"listening": False, "blind_since": at(590), "cause": "no_connection"}),
    transition("cam-6", B),
    transition("cam-2", A),
]
TOLD = ["transition", "indicator", "coverage", "transition"]


def happen(site: Site) -> None:
    with site.db.write() as connection:
        events.append(connection, HAPPENED)


@pytest.fixture
def server(site: Site) -> Iterator[Running]:
    with running(private(site)) as found:
        yield found


@pytest.mark.parametrize("missed", [False, True], ids=["as it happens", "after a lost connection"])
def test_a_stream_tells_of_the_communities_seen(
    site: Site, server: Running, manager: dict[str, str], missed: bool
) -> None:
    with site.db.write() as connection:
        before = events.append(connection, [transition("cam-3", A)])
    if missed:
        happen(site)
    with LiveClient(server.port, last_event_id=str(before), headers=manager) as client:
        assert client.status == 200
        assert client.block() is not None
        if not missed:
            happen(site)
        found = client.events(len(TOLD))
    assert [event.event for event in found] == TOLD
    assert not told_of(str(found), OF_B)
    devices = [event.data["device"] for event in found if event.data and "device" in event.data]
    assert devices == ["cam-1", "cam-2"]
    figures = found[1].data or {}
    assert (figures["running"], figures["total"], figures["percent"]) == (7, 8, "87.5")
    assert list(figures["by_community"]) == [A]


def test_an_event_of_no_known_kind_is_for_those_who_see_all() -> None:
    event = Event(1, END, END, "gossip", {"community": A})
    assert reach.told(event, None) is event
    assert reach.told(event, frozenset({A})) is None


@pytest.mark.parametrize("end", ["revoked", "expired", "unused", "disabled", "moved"])
def test_a_stream_ends_with_its_session(
    site: Site, server: Running, crowd: Crowd, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(live, "RECOGNISED_EVERY_S", 0.1)
    headers = crowd.headers(WHO["viewer of A"])
    with (
        LiveClient(server.port, headers=headers) as client,
        LiveClient(server.port, headers=crowd.headers(WHO["viewer of A"])) as other,
    ):
        assert client.block() is not None
        assert other.block() is not None
        with site.db.write() as connection:
            user = users.named(connection, "someone-1")
            assert user is not None
            match end:
                case "revoked":
                    sessions.revoke_all(connection, user.id, END)
                case "disabled":
                    users.change(connection, user._replace(disabled_us=END))
                case "moved":
                    users.change(connection, user._replace(communities=frozenset({A, B})))
                case "expired":
                    site.clock.now += 86_400 * SECOND_US
                case _:
                    site.clock.now += 1800 * SECOND_US
        assert client.block() is None
        if end in {"revoked", "disabled", "moved"}:
            happen(site)
            assert [event.event for event in other.events(len(TOLD))] == TOLD


def test_a_stream_ends_with_its_token(
    site: Site, server: Running, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECOGNISED_EVERY_S", 0.1)
    with LiveClient(server.port, headers=crowd.headers(WHO["token of A"])) as client:
        assert client.block() is not None
        with site.db.write() as connection:
            (token,) = tokens.listing(connection)
            tokens.revoke(connection, token.id, END)
        assert client.block() is None


def test_an_open_stream_is_ended_within_fifteen_seconds() -> None:
    assert live.RECOGNISED_EVERY_S + live._FAREWELL_S < 15

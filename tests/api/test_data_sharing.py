"""The data-sharing ratio and the catalogue over the API: from receipts to answers, history and events."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import reach
from api.jobs import forward, publish
from pulse.clock import SECOND_US, to_iso
from pulse.indicators import sharing_present
from pulse.indicators.sharing_present import NAME
from pulse.indicators.within import Within
from pulse.ledger.model import EVER
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.sharing.catalogue import DataKind, Version
from pulse.sharing.receipts import Part, Receipt
from pulse.stores.relational import audit, catalogue, events, receipts, registry
from tests.api.site import END, T0, Site
from tests.api.test_jobs import GO_ON, Keeping, with_store
from tests.api.who import WHO, A, B, Crowd, closed

RATIO = "/api/v1/indicators/data-sharing-ratio"
CATALOGUE = "/api/v1/catalogue"


@pytest.fixture
def sharing(site: Site) -> Site:
    """Cameras in both communities, locks in A; the department has both kinds of A, since 570 s."""
    with site.db.write() as connection:
        kinds = [
            DataKind(id=name, name_zh=zh, name_en=name, sources=(source,), schema={}, freshness_s=120)
            for name, zh, source in (
                ("video_status", "视频监控状态", "camera"),
                ("lock_status", "门锁状态", "smart_lock"),
                ("gas_reading", "可燃气体", "gas_alarm"),
            )
        ]
        catalogue.append(connection, [Version(kind.id, T0, T0, kind) for kind in kinds])
    acknowledge(site, "video_status", "lock_status", at_us=END - 30 * SECOND_US)
    return site


def acknowledge(site: Site, *kinds: str, at_us: int, community: str = A) -> None:
    parts = tuple(
        Part(data_kind=kind, community=community, count=3, first_us=at_us - 9, last_us=at_us)
        for kind in kinds
    )
    with site.db.write() as connection:
        receipts.append(
            connection,
            Receipt("police", f"police-{at_us}", "0" * 64, parts, "{}", at_us - 5, at_us, at_us),
        )


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {kind["id"]: kind["state"] for kind in answer["kinds"]}


def test_the_answer_has_the_numbers_and_every_kind(sharing: Site, client: TestClient) -> None:
    answer = client.get(RATIO).json()
    assert (answer["shared"], answer["collectable"], answer["percent"]) == (2, 2, "100.0")
    assert states(answer) == {
        "gas_reading": "not_collectable",
        "lock_status": "shared",
        "video_status": "shared",
    }
    assert answer["kinds"][2]["receipt"] == {
        "outlet": "police",
        "delivery": f"police-{END - 30 * SECOND_US}",
        "number": 1,
        "acknowledged": "2026-11-23T00:09:30Z",
        "expires": "2026-11-23T00:11:30Z",
    }
    assert answer["score"] == {"points": 2.0, "of": 2.0, "assumption": True}
    assert (answer["at"], answer["known_at"]) == (to_iso(END), to_iso(END))
    own = {name: (part["shared"], part["collectable"]) for name, part in answer["by_community"].items()}
    assert own == {A: (2, 2), B: (0, 1)}


def test_any_moment_as_known_then(sharing: Site, client: TestClient) -> None:
    before = to_iso(END - 31 * SECOND_US)
    assert client.get(RATIO, params={"at": before}).json()["shared"] == 0
    assert client.get(RATIO, params={"known_at": before}).json()["at"] == before
    at = to_iso(END - 30 * SECOND_US)
    assert client.get(RATIO, params={"at": at, "known_at": at}).json()["shared"] == 2
    for query in ({"at": "2030-01-01T00:00:00Z"}, {"at": at, "known_at": before}, {"form": "x"}):
        assert client.get(RATIO, params=query).status_code == 422


def test_who_sees_one_community_gets_its_ratio(sharing: Site) -> None:
    crowd = Crowd(sharing)
    with TestClient(closed(sharing)) as client:
        headers = crowd.headers(WHO["viewer of A"])
        answer = client.get(RATIO, headers=headers).json()
        assert list(answer["by_community"]) == [A]
        publish.publish(sharing.context, GO_ON)
        points = client.get(f"{RATIO}/history", headers=headers).json()["points"]
        assert points[-1]["kinds"]["video_status"] == ["shared", "records_acknowledged"]
        assert client.get(f"{RATIO}/history", params={"community": B}, headers=headers).status_code == 422
        assert client.get(CATALOGUE, headers=headers).status_code == 200
        assert client.get(RATIO).status_code == 401


def test_history_gives_what_was_published_at_minutes_and_changes(sharing: Site, client: TestClient) -> None:
    publish.publish(sharing.context, GO_ON)
    sharing.mark(END + 121 * SECOND_US)
    publish.publish(sharing.context, GO_ON)
    window = {"from": to_iso(T0), "to": to_iso(END + 121 * SECOND_US)}
    every = client.get(f"{RATIO}/history", params={"step_s": 0, **window}).json()["points"]
    told = [(point["at"], point["shared"]) for point in every]
    assert told[-6:] == [
        ("2026-11-23T00:09:00Z", 0),
        ("2026-11-23T00:09:30Z", 2),
        ("2026-11-23T00:10:00Z", 2),
        ("2026-11-23T00:11:00Z", 2),
        ("2026-11-23T00:11:30Z", 0),
        ("2026-11-23T00:12:00Z", 0),
    ]
    minutes = client.get(f"{RATIO}/history").json()["points"]
    assert all(point["at"].endswith(":00Z") for point in minutes)
    (of_b,) = {
        (p["shared"], p["collectable"])
        for p in client.get(f"{RATIO}/history", params={"community": B}).json()["points"]
    }
    assert of_b == (0, 1)
    rate = client.get("/api/v1/indicators/online-rate/history").json()["points"]
    assert len(rate) == len(minutes)


def test_changes_are_told_live_to_each_reader_of_their_communities(sharing: Site) -> None:
    publish.publish(sharing.context, GO_ON)
    with sharing.db.read() as connection:
        told = [event for event in events.after(connection, 0, 1000) if event.topic == "sharing"]
    assert [event.body["shared"] for event in told] == [0, 2]
    last = told[-1]
    assert reach.told(last, None) == last

    def limited(within: Within) -> dict[str, Any] | None:
        found = reach.told(last, within)
        return None if found is None else found.body

    assert limited(frozenset({"elsewhere"})) is None
    of_b = limited(frozenset({B}))
    assert of_b is not None
    assert (of_b["shared"], of_b["collectable"], list(of_b["by_community"])) == (0, 1, [B])
    of_both = limited(frozenset({A, B}))
    assert of_both is not None
    assert {name: of_both[name] for name in of_both if name != "by_community"} == {
        name: last.body[name] for name in last.body if name != "by_community"
    }


def test_values_are_copied_into_the_telemetry_store(sharing: Site) -> None:
    store = Keeping(sharing)
    publish.publish(sharing.context, GO_ON)
    context = with_store(sharing, store)
    forward.forward(context, GO_ON)
    copied = [point for point in store.indicators if point.name == NAME and point.at_us == END]
    assert {(p.community, p.numerator, p.denominator, p.lower) for p in copied} == {
        ("", 2, 2, 1.0),
        (A, 2, 2, 1.0),
        (B, 0, 1, 0.0),
    }
    count = len(store.indicators)
    forward.forward(context, GO_ON)
    assert len(store.indicators) == count
    sharing.store.write_indicators(copied)


def test_the_ratio_is_among_the_metrics(sharing: Site, client: TestClient) -> None:
    text = client.get("/metrics").text
    for line in (
        "pulse_data_sharing_shared 2.0",
        "pulse_data_sharing_collectable 2.0",
        "pulse_data_sharing_unknown 0.0",
        'pulse_data_sharing_kind_shared{data_kind="lock_status"} 1.0',
    ):
        assert line in text
    assert "gas_reading" not in text


# The catalogue.


@pytest.fixture
def admin(sharing: Site) -> Iterator[tuple[TestClient, dict[str, str]]]:
    with TestClient(
        closed(sharing), raise_server_exceptions=False, headers={"Accept-Language": "en"}
    ) as client:
        yield client, Crowd(sharing).headers(WHO["admin"])


SAYS = {
    "name_zh": "通行",
    "name_en": "Passes",
    "sources": ["camera"],
    "schema": {"type": "object", "properties": {"plate": {"type": "string"}}},
    "freshness_s": 600,
    "personal": True,
    "masked": {"plate": "hash"},
    "reason": "试点",
}


def test_a_kind_is_set_read_and_withdrawn(admin: tuple[TestClient, dict[str, str]], sharing: Site) -> None:
    client, headers = admin
    done = client.put(f"{CATALOGUE}/vehicle_pass", json=SAYS, headers=headers)
    assert done.status_code == 200, done.text
    assert done.json()["holds"]["masked"] == {"plate": "hash"}
    assert [kind["id"] for kind in client.get(CATALOGUE, headers=headers).json()["kinds"]] == [
        "gas_reading",
        "lock_status",
        "vehicle_pass",
        "video_status",
    ]
    then = {"at": to_iso(END)}
    assert len(client.get(CATALOGUE, params=then, headers=headers).json()["kinds"]) == 3
    sharing.clock.now += SECOND_US
    gone = client.delete(f"{CATALOGUE}/vehicle_pass", headers=headers, params={"reason": "结束"})
    assert gone.json()["holds"] is None
    assert [version["says"] is None for version in gone.json()["history"]] == [False, True]
    assert client.delete(f"{CATALOGUE}/vehicle_pass", headers=headers).status_code == 404
    assert client.get(f"{CATALOGUE}/nothing", headers=headers).status_code == 404
    with sharing.db.read() as connection:
        actions = [(entry.action, json.loads(entry.after or "{}")) for entry in audit.walk(connection)]
    (_, said), (_, left) = [one for one in actions if one[0].startswith("catalogue.")]
    assert (said["reason"], left["reason"]) == ("试点", "结束")


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"sources": ["drone"]}, "sources[0]"),
        ({"schema": {"type": "object", "$ref": "http://example.org"}}, "schema.$ref"),
        ({"masked": {"owner": "drop"}}, "masked.owner"),
        ({"masked": {"plate": "hide"}}, "masked"),
        ({"freshness_s": 0}, "freshness_s"),
        ({"surprise": 1}, "surprise"),
        ({"from": to_iso(T0)}, "from"),
        ({"personal": False}, "masked"),
    ],
)
def test_what_cannot_be_is_named_and_not_taken(
    admin: tuple[TestClient, dict[str, str]], change: dict[str, Any], parameter: str
) -> None:
    client, headers = admin
    refused = client.put(f"{CATALOGUE}/vehicle_pass", json={**SAYS, **change}, headers=headers)
    assert refused.status_code == 422
    assert [error["parameter"] for error in refused.json()["errors"]] == [parameter]
    assert len(client.get(CATALOGUE, headers=headers).json()["kinds"]) == 3
    bad = client.put(f"{CATALOGUE}/a%20b", json=SAYS, headers=headers)
    assert bad.status_code == 422


# Seen as a whole: devices are registered, a department acknowledges, and the API says 8 of 8.


def test_eight_of_eight_from_receipts_and_seven_when_one_expires(site: Site, client: TestClient) -> None:
    names = ("access_control", "gas_alarm", "flow_meter", "perimeter_alarm", "sorting_bin")
    with site.db.write() as connection:
        catalogue.seed(connection, T0)
        kinds = catalogue.load(connection).in_force(END)
        registry.put_communities(connection, [Community("yiminyuan", "益民园")], T0)
        registry.put_kinds(connection, [Kind(name, timeout_s=90) for name in names], T0)
        registry.put_devices(
            connection,
            [
                DeviceRecord(f"{name}-1", A, name, commissioned_us=T0, commissioned_recorded_us=EVER)
                for name in names
            ],
            T0,
        )
    assert client.get(RATIO).json()["percent"] == "0.0"
    acknowledge(site, *(name for name in kinds if name != "gas_reading"), at_us=END + 10 * SECOND_US)
    acknowledge(site, "gas_reading", at_us=END - 60 * SECOND_US)
    site.mark(END + 11 * SECOND_US)
    whole = client.get(RATIO).json()
    assert (whole["shared"], whole["collectable"], whole["percent"]) == (8, 8, "100.0")
    site.mark(END + 86_340 * SECOND_US)
    later = client.get(RATIO).json()
    assert (later["shared"], later["collectable"], later["percent"]) == (7, 8, "87.5")
    assert later["score"]["points"] == 1.75
    assert sharing_present.scored(7, 1, 8)["points"] is None

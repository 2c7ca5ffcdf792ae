"""The endpoints over the small installation: now, in the past, by what was known, as JSON and CSV."""

import csv
import io
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api import models
from api.jobs.publish import publish
from pulse.clock import MINUTE_US, SECOND_US, to_iso
from pulse.errors import StoreUnavailable
from pulse.ledger.model import Maintenance
from pulse.messages import Quarantined
from pulse.stores.relational import events, maintenance, quarantine, registry
from pulse.stores.relational.events import NewEvent
from tests.api.site import END, T0, Site
from tests.api.test_jobs import GO_ON
from tests.api.who import WHO, Crowd

RATE = "/api/v1/indicators/online-rate"
DEVICES = "/api/v1/devices"


def get(client: TestClient, url: str, /, **query: Any) -> Any:
    answer = client.get(url, params={name.rstrip("_"): value for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def at(second: float) -> str:
    return to_iso(T0 + round(second * SECOND_US))


def ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer["items"]]


# The online rate.


def test_the_rate_now_is_that_of_the_watermark(client: TestClient) -> None:
    answer = get(client, RATE)
    models.OnlineRateAnswer.model_validate(answer)
    assert (answer["running"], answer["total"], answer["percent"]) == (7, 10, "70.0")
    assert answer["at"] == at(600)
    assert answer["by_community"]["xinjinglou"]["percent"] == "87.5"
    assert answer["by_kind"]["camera"]["running"] == 4
    assert sum(answer["states"].values()) == 11


def test_the_rate_now_follows_the_watermark(site: Site, client: TestClient) -> None:
    assert get(client, RATE)["running"] == 7
    site.mark(END + 90 * SECOND_US)
    assert get(client, RATE)["running"] == 0


@pytest.mark.parametrize("form", ["iso", "offset", "lost plus", "epoch"])
def test_the_rate_of_a_past_instant(client: TestClient, form: str) -> None:
    text = {
        "iso": at(180),
        "offset": "2026-11-23T08:03:00+08:00",
        "lost plus": "2026-11-23T08:03:00 08:00",
        "epoch": str(T0 // SECOND_US + 180),
    }[form]
    answer = get(client, RATE, at=text)
    assert (answer["running"], answer["at"]) == (10, at(180))


def test_a_plus_that_the_url_does_not_escape_is_understood(client: TestClient) -> None:
    assert client.get(f"{RATE}?at=2026-11-23T08:03:00+08:00").json()["at"] == at(180)


def test_the_rate_of_a_period_counts_device_seconds(client: TestClient) -> None:
    answer = get(client, RATE, from_=at(180), to=at(300))
    models.OnlineRateAnswer.model_validate(answer)
    assert answer["total"] == 10 * 120
    # cam-5 until its deadline at 270 s, cam-6 until its fault at 240 s.
    assert answer["running"] == 8 * 120 + 90 + 60
    assert (answer["from"], answer["to"]) == (at(180), at(300))


def test_known_at_alone_asks_for_that_instant_as_known_then(client: TestClient) -> None:
    answer = get(client, RATE, known_at=at(180))
    assert (answer["at"], answer["known_at"], answer["running"]) == (at(180), at(180), 10)


def test_an_answer_of_the_past_differs_by_what_was_known(site: Site, client: TestClient) -> None:
    site.deaf(T0 + 300 * SECOND_US, END)
    assert get(client, RATE, at=at(450), known_at=at(599))["states"]["offline"] == 2
    now = get(client, RATE, at=at(450))
    assert now["states"]["unknown"] == 2
    assert not now["determined"]
    assert (now["percent"], now["percent_upper"]) == ("70.0", "90.0")


# Published values.


def test_history_gives_what_was_published(site: Site, client: TestClient) -> None:
    publish(site.context, GO_ON)
    points = get(client, f"{RATE}/history", from_=at(0), to=at(600))["points"]
    assert len(points) == 10
    for point in points:
        models.HistoryPoint.model_validate(point)
    assert points[3]["percent"] == "100.0"
    assert points[5] == {
        "at": at(300),
        "numerator": 7,
        "denominator": 10,
        "unknown": 0,
        "percent": "70.0",
        "percent_upper": "70.0",
        "known_at": at(600),
        "sequence": 6,
        "inputs_digest": points[5]["inputs_digest"],
        "link": points[5]["link"],
    }
    assert len({point["link"] for point in points}) == 10


def test_history_without_steps_gives_what_was_published_between_minutes_too(
    site: Site, client: TestClient
) -> None:
    told = NewEvent(T0 + 270_250_000, T0 + 270_250_000, "indicator", {})
    with site.db.write() as connection:
        events.append(connection, [told])
    publish(site.context, GO_ON)
    history = f"{RATE}/history"
    points = get(client, history, from_=at(240), to=at(301), step_s=0)["points"]
    assert [(p["at"], p["numerator"]) for p in points] == [
        (at(240), 9),
        ("2026-11-23T00:04:30.250Z", 8),
        (at(300), 7),
    ]
    assert len(get(client, history, from_=at(240), to=at(301))["points"]) == 2


def test_whether_the_chain_of_published_values_holds_is_told_to_evaluators(
    site: Site, client: TestClient
) -> None:
    publish(site.context, GO_ON)
    path = "/api/v1/indicators/verification"
    assert client.get(path).status_code == 401
    headers = Crowd(site).headers(WHO["evaluator of all"])
    found = client.get(path, headers=headers).json()
    assert found == {
        "values": 11,
        "head": found["head"],
        "broken_at": None,
        "reason": None,
        "reason_zh": None,
    }
    last = get(client, f"{RATE}/history")["points"][-1]
    assert found["head"] == f"11:{last['link']}"
    with site.db.write() as connection:
        connection.execute(text("DROP TRIGGER published_no_update"))
        connection.execute(text("UPDATE published SET denominator = 7 WHERE sequence = 4"))
    broken = client.get(path, headers=headers).json()
    assert (broken["broken_at"], broken["reason"][:11]) == (4, "was changed")
    assert broken["reason_zh"].startswith("已被更改")


def test_history_by_step_community_and_kind(site: Site, client: TestClient) -> None:
    publish(site.context, GO_ON)
    history = f"{RATE}/history"
    steps = get(client, history, from_=at(0), to=at(600), step_s=300)["points"]
    assert [point["at"] for point in steps] == [at(0), at(300)]
    part = get(client, history, from_=at(480), to=at(540), community="xinjinglou")["points"]
    assert [(p["numerator"], p["denominator"]) for p in part] == [(7, 8)]
    part = get(client, history, from_=at(480), to=at(540), kind="smart_lock")["points"]
    assert [(p["numerator"], p["denominator"]) for p in part] == [(3, 4)]
    assert len(get(client, history)["points"]) == 11


def test_the_upper_bound_of_history_counts_unknown_devices_in_maintenance(
    site: Site, client: TestClient
) -> None:
    site.deaf(T0 + 300 * SECOND_US, END)
    window = Maintenance(T0, END + MINUTE_US, T0)
    with site.db.write() as connection:
        maintenance.record(connection, window, "", "")
    publish(site.context, GO_ON)
    (point,) = get(client, f"{RATE}/history", from_=at(540), to=at(560))["points"]
    assert (point["percent"], point["percent_upper"], point["unknown"]) == ("70.0", "90.0", 0)


# Devices.


def test_the_devices_behind_a_number(client: TestClient) -> None:
    answer = get(client, DEVICES, state=["offline", "fault"])
    models.DevicesAnswer.model_validate(answer)
    assert [(i["id"], i["state"], i["cause"], i["since"]) for i in answer["items"]] == [
        ("cam-5", "offline", "deadline_passed", at(270)),
        ("cam-6", "fault", "fault_reported", at(240)),
        ("lock-4", "offline", "explicit_offline", at(300)),
    ]
    assert (answer["total"], answer["next"], answer["at"]) == (3, None, at(600))


def test_the_devices_of_a_past_moment(client: TestClient) -> None:
    assert ids(get(client, DEVICES, state="offline", at=at(280))) == ["cam-5"]
    assert ids(get(client, DEVICES, state="offline", at=at(100))) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"community": "rongxinyuan"}, ["cam-5", "cam-6"]),
        ({"kind": "smart_lock", "state": "online"}, ["lock-1", "lock-2", "lock-3"]),
        ({"state": "not_commissioned"}, ["lock-5"]),
        ({"q": "3号楼"}, ["cam-3"]),
        ({"q": "CAMERA building 4"}, ["cam-4"]),
        ({"q": "gate 东侧 acme"}, [f"cam-{n}" for n in range(1, 7)]),
        ({"q": "LOCK-2"}, ["lock-2"]),
        ({"q": "nowhere"}, []),
        ({"q": " "}, [f"cam-{n}" for n in range(1, 7)] + [f"lock-{n}" for n in range(1, 6)]),
    ],
)
def test_filters(client: TestClient, query: dict[str, str], expected: list[str]) -> None:
    assert ids(get(client, DEVICES, **query)) == expected


def test_pages_are_of_one_instant_and_miss_nothing(site: Site, client: TestClient) -> None:
    page = get(client, DEVICES, limit=4, state=["offline", "online"])
    found = page["items"]
    site.mark(END + 90 * SECOND_US)
    while page["next"]:
        page = get(client, DEVICES, limit=4, state=["offline", "online"], cursor=page["next"])
        assert (page["at"], page["total"]) == (at(600), 9)
        found += page["items"]
    assert [item["id"] for item in found] == sorted({item["id"] for item in found})
    assert [item["state"] for item in found].count("online") == 7
    assert len(found) == 9


def test_csv_opens_in_a_spreadsheet_without_damage(client: TestClient) -> None:
    answer = client.get(DEVICES, params={"format": "csv", "kind": "smart_lock"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="devices-20261123T001000Z.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [f"lock-{n}" for n in range(1, 6)]
    assert rows[0]["name_zh"] == "'=cmd()门锁"
    assert (rows[3]["state"], rows[3]["since"], rows[3]["deadline"]) == ("offline", at(300), "")


def test_csv_is_chosen_by_accept_and_holds_every_device(site: Site, client: TestClient) -> None:
    with site.db.write() as connection:
        records = [
            registry.devices(connection, kind="camera")[0]._replace(id=f"extra-{n:04}") for n in range(1500)
        ]
        registry.put_devices(connection, records, T0)
    answer = client.get(DEVICES, headers={"Accept": "text/csv;q=0.9, application/json;q=0.5"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(answer.text.splitlines()) == 1 + 11 + 1500
    page = client.get(DEVICES, params={"format": "csv", "limit": 10})
    assert len(page.text.splitlines()) == 11
    assert client.get(DEVICES, params={"cursor": page.headers["x-next-cursor"]}).json()["items"]


def test_an_empty_csv_has_its_column_names(client: TestClient) -> None:
    answer = client.get(DEVICES, params={"format": "csv", "q": "nowhere"})
    assert answer.text.lstrip("\ufeff").strip().startswith("id,community,kind")
    assert len(answer.text.splitlines()) == 1


# One device.


def test_why_offline_a_deadline_passed(client: TestClient) -> None:
    answer = get(client, f"{DEVICES}/cam-5")
    models.DeviceAnswer.model_validate(answer)
    assert (answer["state"], answer["cause"], answer["since"]) == ("offline", "deadline_passed", at(270))
    assert (answer["evidence_at"], answer["deadline"]) == (at(180), at(270))
    assert answer["window"] == {
        "from": at(180),
        "to": at(270),
        "timeout_s": 90.0,
        "whole": True,
        "blind": [],
    }
    (decides,) = [message for message in answer["messages"] if message["decides"]]
    assert (decides["observed_at"], decides["evidence"]) == (at(180), "beat")
    assert answer["device"]["timeout_s"] == 90
    assert [i["state"] for i in answer["intervals"]] == ["not_commissioned", "online", "offline"]


def test_why_offline_the_device_said_so(client: TestClient) -> None:
    answer = get(client, f"{DEVICES}/lock-4")
    (decides,) = [message for message in answer["messages"] if message["decides"]]
    assert (decides["evidence"], decides["channel"]) == ("offline", "status")
    assert decides["observed_at"] == answer["since"] == at(300)


def test_why_fault(client: TestClient) -> None:
    answer = get(client, f"{DEVICES}/cam-6")
    assert (answer["state"], answer["since"]) == ("fault", at(240))
    (decides,) = [message for message in answer["messages"] if message["decides"]]
    assert (decides["fault"], decides["observed_at"]) == ("lens", at(600))
    assert (answer["evidence_at"], answer["deadline"]) == (at(600), at(690))


def test_why_unknown_names_what_was_not_heard(site: Site, client: TestClient) -> None:
    site.deaf(T0 + 400 * SECOND_US, END)
    answer = get(client, f"{DEVICES}/cam-5", at=at(450))
    assert (answer["state"], answer["cause"]) == ("unknown", "collector_blind")
    assert not answer["window"]["whole"]
    assert answer["window"]["blind"] == [{"from": at(400), "to": at(600), "cause": "connection_lost"}]


def test_a_device_in_the_past_is_judged_by_the_messages_up_to_then(client: TestClient) -> None:
    answer = get(client, f"{DEVICES}/cam-5", at=at(100))
    assert answer["state"] == "online"
    assert (answer["evidence_at"], answer["deadline"]) == (at(90), at(180))
    assert max(message["observed_at"] for message in answer["messages"]) == at(90)


def test_it_is_said_when_the_deciding_message_is_no_longer_kept(site: Site, client: TestClient) -> None:
    site.store.delete_before(T0 + 200 * SECOND_US)
    answer = get(client, f"{DEVICES}/cam-5")
    assert answer["messages_deleted"]
    assert answer["messages_since"] == at(210)
    assert (answer["state"], answer["evidence_at"]) == ("offline", at(180))


def test_the_state_is_answered_while_the_messages_cannot_be_read(
    site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(site.store, "read_messages", away)
    answer = get(client, f"{DEVICES}/cam-5")
    assert answer["messages_unavailable"]
    assert answer["state"] == "offline"


def test_intervals_fill_the_period(client: TestClient) -> None:
    answer = get(client, f"{DEVICES}/cam-6/intervals", from_=at(60), to=at(540))
    models.IntervalsAnswer.model_validate(answer)
    assert [(i["state"], i["from"], i["to"]) for i in answer["intervals"]] == [
        ("online", at(60), at(240)),
        ("fault", at(240), at(540)),
    ]
    assert answer["states"] == {"online": 180.0, "fault": 300.0}
    assert sum(answer["states"].values()) == 480


def test_intervals_of_the_last_day_by_default(client: TestClient) -> None:
    answer = get(client, f"{DEVICES}/cam-6/intervals")
    assert sum(answer["states"].values()) == 86_400
    assert answer["to"] == at(600)


# The collector, health and metrics.


def test_the_collector_tells_whether_it_listens(site: Site, client: TestClient) -> None:
    with site.db.write() as connection:
        quarantine.put(connection, [(1, Quarantined(T0, "not_utf8", "", "x", b"", 0))])
        registry.discover(connection, "stranger", "xinjinglou", "camera", T0)
    answer = get(client, "/api/v1/collector")
    models.CollectorAnswer.model_validate(answer)
    assert answer["listening"]
    assert answer["watermark"]["age_s"] == 0.2
    assert (answer["quarantined"], answer["discovered"]) == ({"not_utf8": 1}, 1)
    site.clock.now += 60 * SECOND_US
    answer = get(client, "/api/v1/collector")
    assert (answer["listening"], answer["stale"], answer["blind_since"]) == (False, True, at(600))


def test_ready_names_every_part_and_the_one_that_is_not(
    site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get(client, "/readyz")["parts"].keys() == {"database", "store", "collector"}

    def away() -> None:
        raise StoreUnavailable("the store is away; start it")

    monkeypatch.setattr(site.store, "ping", away)
    site.clock.now += 60 * SECOND_US
    answer = client.get("/readyz")
    assert answer.status_code == 503
    problem = answer.json()
    assert problem["type"] == "/api/v1/problems/not-ready"
    assert {name: part["ok"] for name, part in problem["parts"].items()} == {
        "database": True,
        "store": False,
        "collector": False,
    }
    assert "the store is away; start it" in problem["detail"]
    assert get(client, "/healthz")["status"] == "ok"


def test_metrics_are_of_the_moment_of_the_scrape(site: Site, client: TestClient) -> None:
    get(client, f"{DEVICES}/cam-5")
    client.get("/somewhere")
    lines = set(client.get("/metrics").text.splitlines())
    assert {
        "pulse_up 1.0",
        "pulse_online_rate_running 7.0",
        "pulse_online_rate_total 10.0",
        "pulse_online_rate_percent 70.0",
        'pulse_online_rate_community_running{community="xinjinglou"} 7.0',
        'pulse_devices{community="rongxinyuan",kind="camera",state="offline"} 1.0',
        "pulse_collector_listening 1.0",
        'pulse_http_requests_total{method="GET",route="/api/v1/devices/{id}",status="200"} 1.0',
        'pulse_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
    } <= lines
    site.mark(END + 90 * SECOND_US)
    assert "pulse_online_rate_running 0.0" in client.get("/metrics").text


def test_metrics_survive_a_database_that_is_away(
    site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(site.rate, "as_of", away)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "pulse_up 0.0" in answer.text

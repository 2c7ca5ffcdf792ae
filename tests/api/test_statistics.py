"""Statistics over HTTP: whole, by group, by device; pages, CSV, refusals, and who is told what."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.statistics_models import (
    DeviceFullAnswer,
    DevicesStatisticsAnswer,
    DeviceStatisticsAnswer,
    StatisticsAnswer,
)
from pulse.access import keys, people
from pulse.access.roles import Role, command_line
from pulse.clock import SECOND_US, to_iso
from pulse.messages import Evidence
from pulse.stores.relational import audit
from tests.api.site import T0, Site
from tests.api.who import WHO, A, B, Crowd, closed, told_of

WHOLE = "/api/v1/statistics"
DEVICES = "/api/v1/statistics/devices"


def at(second: float) -> str:
    return to_iso(T0 + round(second * SECOND_US))


PERIOD: dict[str, Any] = {"from": at(0), "to": at(600)}


def get(client: TestClient, url: str, headers: dict[str, str] | None = None, **asked: Any) -> Any:
    answer = client.get(url, params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer["items"]]


def test_all_devices_and_their_groups_are_told(client: TestClient) -> None:
    answer = get(client, WHOLE, **PERIOD)
    StatisticsAnswer.model_validate(answer)
    # cam-5 is down from 270 s, cam-6 from 240 s, lock-4 from 300 s; every device since 0 s in service.
    assert (answer["devices"], answer["outages"], answer["open"], answer["failures"]) == (10, 3, 3, 3)
    assert answer["down_s"] == 330 + 360 + 300
    assert answer["mtbf_s"] == (6000 - 990) / 3
    assert (answer["mttr_s"], answer["restored"]) == (None, 0)
    assert answer["longest"] == {"device": "cam-6", "down_s": 360, "from": at(240), "to": None}
    assert answer["above"] == {
        "threshold": 95.0,
        "devices": 7,
        "devices_upper": 7,
        "of": 10,
        "adjusted": 7,
        "adjusted_of": 10,
    }
    assert set(answer["by_community"]) == {A, B}
    assert answer["by_kind"]["smart_lock"]["failures"] == 1
    assert (answer["from"], answer["to"]) == (at(0), at(600))


def test_the_last_thirty_days_are_told_by_default(client: TestClient) -> None:
    answer = get(client, WHOLE)
    assert (answer["from"], answer["to"]) == (to_iso(T0 + 600 * SECOND_US - 30 * 86_400 * SECOND_US), at(600))
    assert answer["down_s"] == 990
    assert answer["availability"]["states"]["not_commissioned"] > 0


def test_a_known_time_alone_asks_for_the_thirty_days_before_it(client: TestClient) -> None:
    answer = get(client, WHOLE, known_at=at(260))
    assert (answer["to"], answer["known_at"], answer["down_s"]) == (at(260), at(260), 20)


@pytest.mark.parametrize(("threshold", "count"), [("50", 8), ("40", 10), ("99.999", 7), ("50.001", 7)])
def test_any_threshold_may_be_asked_for(client: TestClient, threshold: str, count: int) -> None:
    # cam-5 was online for 270 of 600 s, cam-6 for 240 s, lock-4 for exactly half of the time.
    answer = get(client, WHOLE, threshold=threshold, **PERIOD)
    assert answer["above"]["devices"] == count
    assert answer["above"]["threshold"] == float(threshold)


def test_a_community_and_a_kind_may_be_chosen(client: TestClient) -> None:
    answer = get(client, WHOLE, community="xinjinglou", kind="smart_lock", **PERIOD)
    assert (answer["devices"], answer["failures"]) == (4, 1)
    assert list(answer["by_community"]) == ["xinjinglou"]
    assert list(answer["by_kind"]) == ["smart_lock"]


def test_one_device_is_told(client: TestClient) -> None:
    answer = get(client, "/api/v1/devices/cam-5/statistics", **PERIOD)
    DeviceStatisticsAnswer.model_validate(answer)
    assert (answer["device"], answer["down_s"], answer["failures"]) == ("cam-5", 330, 1)
    assert answer["availability"]["percent"] == "45.0"
    whole = get(client, "/api/v1/devices/cam-5")
    DeviceFullAnswer.model_validate(whole)
    assert whole["statistics"]["down_s"] == 330
    past = get(client, "/api/v1/devices/cam-5", at=at(280))
    assert (past["statistics"]["down_s"], past["statistics"]["to"]) == (10, at(280))


def test_a_device_that_was_never_in_service_has_no_figures(client: TestClient) -> None:
    answer = get(client, "/api/v1/devices/lock-5/statistics", **PERIOD)
    assert answer["availability"]["percent"] is None
    assert (answer["mtbf_s"], answer["faults_per_device_year"]) == (None, None)


# The list.


def test_every_device_is_in_the_list_and_the_worst_may_come_first(client: TestClient) -> None:
    answer = get(client, DEVICES, **PERIOD)
    DevicesStatisticsAnswer.model_validate(answer)
    assert ids(answer) == [f"cam-{n}" for n in range(1, 7)] + [f"lock-{n}" for n in range(1, 5)]
    assert (answer["total"], answer["next"]) == (10, None)
    assert [item["above"] for item in answer["items"]] == [True] * 4 + [False] * 2 + [True] * 3 + [False]
    worst = get(client, DEVICES, order="down", **PERIOD)
    assert ids(worst)[:4] == ["cam-6", "cam-5", "lock-4", "cam-1"]
    one = get(client, DEVICES, kind="smart_lock", community="xinjinglou", limit=1, **PERIOD)
    assert (ids(one), one["total"]) == (["lock-1"], 4)


@pytest.mark.parametrize("order", ["id", "down"])
@pytest.mark.parametrize("period", [{}, PERIOD, {"known_at": at(600)}])
def test_pages_follow_each_other_over_one_period(
    site: Site, client: TestClient, order: str, period: dict[str, Any]
) -> None:
    whole = get(client, DEVICES, order=order, **period)
    found, cursor = [], None
    for _ in range(4):
        asked: dict[str, Any] = {"order": order, "limit": 3, **period} | (
            {"cursor": cursor} if cursor else {}
        )
        page = get(client, DEVICES, **asked)
        assert (page["from"], page["to"]) == (whole["from"], whole["to"])
        found += page["items"]
        cursor = page["next"]
        # What happens between two pages does not move their devices.
        site.mark(site.clock.now + 100 * SECOND_US)
    assert cursor is None
    assert found == whole["items"]


def test_a_cursor_serves_the_same_question_only(client: TestClient) -> None:
    cursor = get(client, DEVICES, limit=3, **PERIOD)["next"]
    for other in (
        {"order": "down"},
        {"kind": "camera"},
        {"threshold": "90"},
        {"from": at(1), "to": at(600)},
        {"from": at(0), "to": at(599)},
        {"from": None, "to": None},
    ):
        asked = {name: value for name, value in ({**PERIOD, **other}).items() if value is not None}
        answer = client.get(DEVICES, params={"cursor": cursor, **asked})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == "cursor_of_other_query"
    assert client.get(DEVICES, params={"cursor": "x", **PERIOD}).json()["errors"][0]["code"] == "bad_cursor"


@pytest.mark.parametrize("by_header", [True, False])
def test_the_list_as_csv(site: Site, client: TestClient, by_header: bool) -> None:
    headers = {"Accept": "text/csv"} if by_header else {}
    asked = PERIOD | ({} if by_header else {"format": "csv"})
    answer = client.get(DEVICES, params=asked, headers=headers)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="statistics-20261123T001000Z.csv"' in answer.headers["content-disposition"]
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))}
    assert len(rows) == 10
    assert rows["lock-1"]["name_zh"] == "'=cmd()门锁"
    cam = rows["cam-5"]
    assert (cam["availability_percent"], cam["down_s"], cam["offline_s"]) == ("45.0", "330", "330")
    assert (cam["longest_from"], cam["longest_to"], cam["mttr_s"]) == (at(270), "", "")
    assert (cam["above"], cam["flapping"], rows["cam-1"]["above"]) == ("false", "false", "true")
    with site.db.read() as connection:
        (entry,) = audit.listing(connection, audit.Filter(action="export"))
    assert entry.subject == "statistics"


def test_a_csv_in_parts_names_the_rest(client: TestClient) -> None:
    answer = client.get(DEVICES, params={"format": "csv", "limit": "4", **PERIOD})
    assert len(answer.text.splitlines()) == 5
    assert answer.headers["x-next-cursor"]


def test_a_flapping_device_is_told(site: Site, client: TestClient) -> None:
    """lock-1 says goodbye and comes back three times within half an hour, from when all else is told."""
    for turn in range(3):
        at_us = T0 + (600 + 60 * turn) * SECOND_US
        site.hear([site.message("lock-1", at_us, Evidence.OFFLINE)], at_us)
        site.hear([site.message("lock-1", at_us + 30 * SECOND_US)], at_us + 30 * SECOND_US)
    site.mark(T0 + 760 * SECOND_US)
    answer = get(client, "/api/v1/devices/lock-1/statistics")
    assert answer["flapping"] == {"now": True, "episodes": 1, "seconds": 10}
    assert (answer["failures"], answer["restored"]) == (3, 3)
    whole = get(client, WHOLE)
    assert whole["flapping"] == {"now": 1, "devices": 1, "episodes": 1, "seconds": 10}


# Refusals.


@pytest.mark.parametrize(
    ("url", "asked", "parameter", "code"),
    [
        (WHOLE, {"threshold": "101"}, "threshold", "not_a_percentage"),
        (WHOLE, {"threshold": "-1"}, "threshold", "not_a_percentage"),
        (WHOLE, {"threshold": "95.1234"}, "threshold", "not_a_percentage"),
        (WHOLE, {"threshold": "nan"}, "threshold", "not_a_percentage"),
        (WHOLE, {"from": at(0)}, "from", "needs_partner"),
        (WHOLE, {"from": at(500), "to": at(500)}, "from", "not_before_to"),
        (WHOLE, {"from": at(0), "to": at(700)}, "to", "in_the_future"),
        (WHOLE, {"from": at(0), "to": at(600), "known_at": at(599)}, "to", "after_known_at"),
        (WHOLE, {"community": "nowhere"}, "community", "unknown_value"),
        (WHOLE, {"kind": "toaster"}, "kind", "unknown_value"),
        (WHOLE, {"order": "down"}, "order", "unknown_parameter"),
        (DEVICES, {"order": "name"}, "order", "unknown_value"),
        (DEVICES, {"limit": "0"}, "limit", "out_of_range"),
        (DEVICES, {"threshold": "x"}, "threshold", "not_a_percentage"),
        ("/api/v1/devices/cam-1/statistics", {"from": at(0)}, "from", "needs_partner"),
        ("/api/v1/devices/cam%201/statistics", {}, "id", "not_an_id"),
    ],
)
def test_bad_questions_are_refused_by_name(
    client: TestClient, url: str, asked: dict[str, str], parameter: str, code: str
) -> None:
    answer = client.get(url, params=asked)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (parameter, code) in [(e["parameter"], e["code"]) for e in answer.json()["errors"]]


def test_an_unknown_device_has_no_statistics(client: TestClient) -> None:
    assert client.get("/api/v1/devices/cam-9/statistics").status_code == 404


# Who is told what.


@pytest.fixture
def crowd(site: Site) -> Crowd:
    return Crowd(site)


@pytest.fixture
def private(site: Site) -> Iterator[TestClient]:
    with TestClient(closed(site), headers={"Accept-Language": "en"}) as client:
        yield client


def test_whoever_sees_one_community_gets_its_figures_alone(crowd: Crowd, private: TestClient) -> None:
    manager, viewer = crowd.headers(WHO["manager of A"]), crowd.headers(WHO["viewer of all"])
    own, whole = (get(private, WHOLE, headers, **PERIOD) for headers in (manager, viewer))
    assert not told_of(str(own))
    assert own["devices"] == whole["by_community"][A]["devices"] == 8
    assert own["failures"] == whole["by_community"][A]["failures"]
    assert own["by_kind"]["camera"]["devices"] == 4
    assert not told_of(str(get(private, DEVICES, manager, **PERIOD)))
    refused = private.get(WHOLE, params={"community": B}, headers=manager)
    assert refused.status_code == 422
    cursor = get(private, DEVICES, viewer, limit=3, **PERIOD)["next"]
    stolen = private.get(DEVICES, params={"cursor": cursor, **PERIOD}, headers=manager)
    assert stolen.json()["errors"][0]["code"] == "cursor_of_other_query"


def test_whoever_may_see_no_devices_is_not_told_their_names(site: Site, private: TestClient) -> None:
    operator, now_us = command_line("root", "host"), site.clock.now
    with site.db.write() as connection:
        eva = people.create(connection, operator, "eva", Role.EVALUATOR, now_us)
        token = keys.create(connection, operator, eva, "x", ["indicators:read"], None, 30, now_us).secret
    headers = {"Authorization": f"Bearer {token}"}
    answer = get(private, WHOLE, headers, **PERIOD)
    assert "cam-" not in str(answer)
    assert answer["longest"]["down_s"] == 360
    assert private.get(DEVICES, headers=headers).status_code == 403

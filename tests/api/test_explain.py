"""Published against known: each device's part with its reason; who may see it; the command says the same."""

import copy
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.explain_models import ExplanationAnswer
from api.jobs import publish
from pulse.cli import app
from pulse.clock import MINUTE_US, SECOND_US, to_iso
from pulse.indicators.publication import Publication
from pulse.ledger.model import FOREVER, Blind, Evidence, Maintenance, Run, Scope
from pulse.stores.relational import coverage, intervals, maintenance, published
from pulse.stores.relational.published import PublishedValue
from tests.api.site import END, T0, Site
from tests.api.who import WHO, Crowd, closed

URL = "/api/v1/indicators/online-rate/explanation"


def at(second: float) -> int:
    return T0 + round(second * SECOND_US)


PERIOD = {"from": to_iso(T0), "to": to_iso(END)}


@pytest.fixture
def later(site: Site) -> Site:
    """The ten minutes as they were published, and three things that became known afterwards.

    `lock-4`, which said goodbye at 300 s, had beaten at 400 s; `cam-1` was in maintenance from 300 s on; the
    network of `cam-5` and `cam-6` was cut from 250 s to 400 s.
    """
    publish.publish(site.context, threading.Event())
    found = [
        Run(at(300), at(400), Evidence.OFFLINE, at(300), at(300)),
        Run(at(400), FOREVER, Evidence.OFFLINE, at(300), at(300), END + 90 * SECOND_US),
        Run(at(400), at(490), Evidence.BEAT, at(400), END + 90 * SECOND_US),
    ]
    network = Scope(community="rongxinyuan")
    with site.db.write() as connection:
        intervals.replace_runs(
            connection, "lock-4", at(299), [Run(T0, at(300), Evidence.BEAT, T0, T0), *found]
        )
        coverage.record(
            connection, Blind(at(250), at(400), END + 60 * SECOND_US, scope=network, cause="test")
        )
        window = Maintenance(at(300), END, END + 30 * SECOND_US, scope=Scope(device="cam-1"))
        maintenance.record(connection, window, "巡检", "user:mei")
    site.mark(END + 200 * SECOND_US)
    return site


def get(client: TestClient, **asked: Any) -> Any:
    answer = client.get(URL, params=asked)
    assert answer.status_code == 200, answer.text
    ExplanationAnswer.model_validate(answer.json())
    return answer.json()


@pytest.fixture
def pages(later: Site) -> Iterator[TestClient]:
    with TestClient(create_app(later.context), raise_server_exceptions=False) as client:
        yield client


def parts(answer: Any) -> dict[str, tuple[int, dict[str, float]]]:
    """Of every reason the devices concerned and the states changed."""
    return {
        part["reason"]: (
            part["devices"],
            {state: amount for state, amount in part["change"]["states"].items() if amount},
        )
        for part in answer["reasons"]
    }


def test_every_reason_has_its_part_and_they_add_up_to_the_difference(pages: TestClient) -> None:
    answer = get(pages, **PERIOD)
    assert answer["values"] == 10
    assert parts(answer) == {
        "late_data": (1, {"online": 120, "offline": -120}),
        "coverage": (1, {"offline": -240, "unknown": 240}),
        "maintenance": (1, {"online": -300, "excluded": 300}),
        "registry": (0, {}),
        "unexplained": (0, {}),
    }
    for state, amount in answer["difference"]["states"].items():
        assert amount == sum(part["change"]["states"][state] for part in answer["reasons"])
        assert amount == answer["known"]["states"][state] - answer["published"]["states"][state]
    assert answer["difference"]["running"] == 120
    assert answer["difference"]["adjusted"] == {"numerator": -180, "denominator": -540}
    assert answer["published"]["running"] + 120 == answer["known"]["running"]
    assert [item["id"] for item in answer["devices"]] == ["cam-1", "cam-5", "lock-4"]


def test_what_was_not_known_yet_explains_nothing(pages: TestClient) -> None:
    answer = get(pages, **PERIOD, known_at=to_iso(END + 45 * SECOND_US))
    assert {reason: count for reason, (count, _) in parts(answer).items()} == {
        "late_data": 0,
        "coverage": 0,
        "maintenance": 1,
        "registry": 0,
        "unexplained": 0,
    }


def test_a_value_that_the_books_do_not_give_is_unexplained(later: Site, pages: TestClient) -> None:
    at_us = END + MINUTE_US
    figures = copy.deepcopy(dict(Publication(later.rate.library).draft(at_us, at_us).value.figures))
    states = figures["by_community"]["xinjinglou"]["states"]
    states["online"], states["offline"] = states["online"] + 1, states["offline"] - 1
    with later.db.write() as connection:
        published.append(connection, PublishedValue("online-rate", at_us, at_us, 8, 10, figures))
    answer = get(pages, **{"from": to_iso(at_us), "to": to_iso(at_us + 60 * SECOND_US)})
    assert parts(answer)["unexplained"] == (0, {"online": -60, "offline": 60})


def test_a_period_in_which_nothing_was_published_has_no_difference(pages: TestClient) -> None:
    answer = get(pages, **{"from": to_iso(T0 - 3600 * SECOND_US), "to": to_iso(T0)})
    assert (answer["values"], answer["first"], answer["published"]["percent"]) == (0, None, None)
    assert list(parts(answer).values()) == [(0, {})] * 5


def test_devices_can_be_left_out_and_a_community_chosen(pages: TestClient) -> None:
    answer = get(pages, **PERIOD, limit=1, community="xinjinglou")
    assert answer["devices_changed"] == 2
    assert [item["id"] for item in answer["devices"]] == ["cam-1"]
    assert parts(answer)["coverage"] == (0, {})
    assert parts(answer)["unexplained"] == (0, {})


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({"from": to_iso(T0)}, "from"),
        ({"from": to_iso(END), "to": to_iso(T0)}, "from"),
        ({**PERIOD, "known_at": to_iso(T0)}, "to"),
        ({**PERIOD, "community": "nowhere"}, "community"),
        ({**PERIOD, "limit": "-1"}, "limit"),
    ],
)
def test_what_cannot_be_asked_is_named(pages: TestClient, asked: dict[str, str], parameter: str) -> None:
    answer = pages.get(URL, params=asked)
    assert answer.status_code == 422
    assert parameter in [error["parameter"] for error in answer.json()["errors"]]


def test_a_reader_of_one_community_is_told_of_no_other(later: Site) -> None:
    with TestClient(closed(later)) as client:
        own = Crowd(later).headers(WHO["evaluator of A"])
        answer = client.get(URL, params=PERIOD, headers=own).json()
        assert [item["id"] for item in answer["devices"]] == ["cam-1", "lock-4"]
        assert "rongxinyuan" not in json.dumps(answer)
        assert answer["published"]["total"] == 8 * 600
        assert client.get(URL, params=PERIOD).status_code == 401


def test_the_command_says_the_same(later: Site, pages: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulse.commands.explain.SystemClock", lambda: later.clock)
    folder = str(later.context.settings.data_dir)
    asked = ["explain", "--from", PERIOD["from"], "--to", PERIOD["to"], "--data-dir", folder]
    run = CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False)
    told = json.loads(run.stdout)
    expected = get(pages, **PERIOD)
    assert {**told, "calculated_at": ""} == {**expected, "calculated_at": ""}
    words = CliRunner().invoke(app, [*asked, "--limit", "1"], catch_exceptions=False).stdout
    assert "迟到的数据 / late data，1 台 / devices: +0.033 / 0 设备时 / device-hours" in words
    assert "cam-1" in words
    assert "还有 2 台" in words

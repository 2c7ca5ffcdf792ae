"""What travels with a rate: late evidence, the plan, the timeouts; by the API, the page and the command."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from pulse.cli import app
from pulse.clock import SECOND_US, to_iso
from pulse.errors import BadInput
from pulse.ledger.model import FOREVER, Evidence, Run
from pulse.registry.model import Planned
from pulse.stores.relational import intervals, registry
from tests.api.site import END, T0, Site

RATE = "/api/v1/indicators/online-rate"


def at(second: float) -> int:
    return T0 + round(second * SECOND_US)


@pytest.fixture
def later(site: Site) -> Site:
    """A beat of `lock-4` at 400 s, after its goodbye, came at 690 s; 12 devices are planned."""
    found = [
        Run(T0, at(300), Evidence.BEAT, T0, T0),
        Run(at(300), at(400), Evidence.OFFLINE, at(300), at(300)),
        Run(at(400), FOREVER, Evidence.OFFLINE, at(300), at(300), END + 90 * SECOND_US),
        Run(at(400), at(490), Evidence.BEAT, at(400), END + 90 * SECOND_US),
    ]
    with site.db.write() as connection:
        intervals.replace_runs(connection, "lock-4", at(-1), found)
        plan = [Planned("xinjinglou", "camera", 5), Planned("rongxinyuan", "camera", 2)]
        registry.put_planned(connection, [*plan, Planned("xinjinglou", "smart_lock", 5)], END)
    site.mark(END + 200 * SECOND_US)
    return site


@pytest.fixture
def client(later: Site) -> TestClient:
    return TestClient(create_app(later.context), raise_server_exceptions=False)


def get(client: TestClient, **asked: Any) -> Any:
    answer = client.get(RATE, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_became_known_too_late_is_told_of_an_instant_and_of_a_period(client: TestClient) -> None:
    now = get(client, at=to_iso(at(420)))
    assert (now["running"], now["late"]) == (8, {"running": 1, "percent": "12.5"})
    assert now["by_kind"]["smart_lock"]["late"] == {"running": 1, "percent": "25.0"}
    assert now["by_community"]["rongxinyuan"]["late"] == {"running": 0, "percent": None}
    period = get(client, **{"from": to_iso(T0), "to": to_iso(END)})
    assert period["late"]["running"] == 90
    then = get(client, at=to_iso(at(420)), known_at=to_iso(END))
    assert (then["running"], then["late"]) == (7, {"running": 0, "percent": "0.0"})


def test_the_plan_and_the_timeouts_are_told(client: TestClient) -> None:
    now = get(client, at=to_iso(at(420)))
    assert (now["planned"], now["total"]) == (12, 10)
    assert {name: part["planned"] for name, part in now["by_community"].items()} == {
        "rongxinyuan": 2,
        "xinjinglou": 10,
    }
    assert {name: part["planned"] for name, part in now["by_kind"].items()} == {"camera": 7, "smart_lock": 5}
    assert now["timeouts"] == [{"timeout_s": 90.0, "devices": 10}]


def test_the_page_shows_the_plan_beside_what_is_in_service(client: TestClient) -> None:
    page = client.get("/?lang=en").text
    assert "of which 10 in service" in page


def command(later: Site, monkeypatch: pytest.MonkeyPatch, *asked: str) -> str:
    monkeypatch.setattr("pulse.commands.rate.SystemClock", lambda: later.clock)
    folder = str(later.context.settings.data_dir)
    return CliRunner().invoke(app, ["rate", *asked, "--data-dir", folder], catch_exceptions=False).stdout


def test_the_command_answers_as_the_api_does(
    later: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = to_iso(at(420))
    for asked, options in (
        ({"at": moment}, ["--at", moment]),
        ({"known_at": to_iso(END)}, ["--known-at", to_iso(END)]),
        ({"from": to_iso(T0), "to": to_iso(END)}, ["--from", to_iso(T0), "--to", to_iso(END)]),
    ):
        told, expected = json.loads(command(later, monkeypatch, *options, "--json")), get(client, **asked)
        assert {**told, "calculated_at": ""} == {**expected, "calculated_at": ""}
    words = command(later, monkeypatch, "--at", moment, "--community", "xinjinglou")
    assert "在线率 / online rate: 100.0 %  8/8" in words
    assert "known later than its timeout: 1 (12.5 %)" in words
    assert "rongxinyuan" not in words


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (["--at", "1", "--from", "0", "--to", "1"], "--at"),
        (["--from", "0"], "--from, --to"),
        (["--at", "yesterday"], "--at"),
        (["--community", "nowhere"], "--community"),
    ],
)
def test_what_cannot_be_asked_is_named(
    later: Site, monkeypatch: pytest.MonkeyPatch, options: list[str], where: str
) -> None:
    with pytest.raises(BadInput) as refused:
        command(later, monkeypatch, *options)
    assert refused.value.where == where

"""Devices' passwords by the API: told once, and whether the broker knows of them."""

from dataclasses import replace

from fastapi.testclient import TestClient

from api.app import create_app
from pulse.broker import passwords
from tests.api.site import Site
from tests.api.who import WHO, Crowd, private

PATH = "/api/v1/devices/cam-1/credentials"


def test_a_password_is_issued_replaced_and_revoked_in_the_brokers_file(site: Site) -> None:
    headers = Crowd(site).headers(WHO["manager of A"])
    context = private(site)
    kept = context.settings.data_dir / "broker" / "passwords"
    with TestClient(create_app(context)) as client:
        made = [client.post(PATH, headers=headers).json() for _ in range(2)]
        assert [(m["generation"], m["broker"]) for m in made] == [(1, "written"), (2, "written")]
        entry = passwords.read(kept)["cam-1"]
        assert [passwords.matches(m["password"], entry) for m in made] == [False, True]
        assert client.delete(PATH, headers=headers).json() == {"ended": True, "broker": "written"}
        assert passwords.read(kept) == {}
        assert client.delete(PATH, headers=headers).status_code == 409


def test_a_broker_that_cannot_be_told_costs_nobody_the_password(site: Site) -> None:
    headers = Crowd(site).headers(WHO["manager of A"])
    context = private(site)
    away = context.settings.model_copy(update={"broker_dir": context.settings.data_dir / "nowhere"})
    with TestClient(create_app(replace(context, settings=away))) as client:
        made = client.post(PATH, headers=headers)
        assert made.status_code == 200
        assert made.json()["broker"] == "failed"
        assert len(made.json()["password"]) == 43
        assert client.delete(PATH, headers=headers).json() == {"ended": True, "broker": "failed"}

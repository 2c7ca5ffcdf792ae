"""No key or password of an outlet is in a log, a table, an answer or an audit entry."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from pulse.access import keys as tokens
from pulse.access import people
from pulse.access.roles import Permission, Role, command_line
from pulse.sharing.outlets import Outlet
from tests.outlets.department import Department, Reply
from tests.outlets.house import House

CLI = command_line("root", "host")
PASSWORD = "nine loud kettles under the bridge"


def test_no_secret_is_anywhere_but_in_its_file(
    house: House, fire: Department, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hmac_key = house.keys.make("fire", "hmac-sha256")
    ed25519 = house.keys.make("gas", "ed25519")
    masking = house.keys.masking()
    path = house.keys.path("fire", "password")
    path.touch(0o600)
    path.write_text(f"pulse:{PASSWORD}", encoding="utf-8")
    secrets = {PASSWORD, hmac_key.material.hex(), ed25519.material.hex(), masking.hex()}
    made = [
        house.put(Outlet(id="fire", mode="http", url=fire.url)),
        house.put(Outlet(id="gas", mode="http", url=fire.url, signature="ed25519")),
    ]
    fire.answer = lambda got: Reply(500 if len(fire.received) == 1 else 200, b"answer")
    house.hear(house.record(), house.record("door-1", "access_event"))
    for outlet in made:
        house.build(outlet)
        house.drain(outlet)
    with house.db.write() as connection:
        owner = people.create(connection, CLI, "admin", Role.ADMIN, house.clock.now)
        token = tokens.create(connection, CLI, owner, "t", list(Permission), None, 30, house.clock.now)
    said = []
    with TestClient(create_app(house.context, pages=False)) as client:
        headers = {"Authorization": f"Bearer {token.secret}"}
        said += [
            client.post(f"/api/v1/sharing/outlets/{outlet.id}/test", headers=headers).text for outlet in made
        ]
        for what in ("outlets", "deliveries?outlet=fire", "receipts", "accesses", "funnel"):
            answer = client.get(f"/api/v1/sharing/{what}", headers=headers)
            assert answer.status_code == 200
            said.append(answer.text)
        said.append(client.get("/api/v1/audit", headers=headers).text)
    assert len(house.receipts()) == 1
    house.db.close()
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.parent != house.keys.folder:
            data = file.read_bytes()
            said.append(data.decode("latin-1"))
            assert ed25519.material not in data, file
            assert hmac_key.material not in data, file
            assert masking not in data, file
    printed = capfd.readouterr()
    said += [printed.out, printed.err]
    # Of what is sent the password stands in the header that is meant for it, encoded, and nowhere else.
    said += [got.body.decode() for got in fire.received]
    assert not [secret for secret in secrets for text in said if secret in text]

"""`pulse outlet` and `pulse sharing`, as the operator runs them."""

import json
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner

from pulse.cli import app
from pulse.clock import SystemClock
from pulse.errors import BadInput, Conflict, NotFound, PulseError
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import audit, outlets
from pulse.stores.relational.audit import Filter
from tests.outlets.department import Department, Reply
from tests.outlets.house import House


@pytest.fixture(autouse=True)
def _here(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_DATA_DIR", str(house.folder))


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, PulseError):
        raise result.exception
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


def put(folder: Path, *said: dict[str, object]) -> str:
    file = folder / "outlets.yaml"
    file.write_text(yaml.safe_dump({"outlets": list(said)}, allow_unicode=True), encoding="utf-8")
    return run("outlet", "put", str(file))


def members(fire: Department, **changes: object) -> dict[str, object]:
    return {
        "id": "fire",
        "mode": "http",
        "url": fire.url,
        "name_zh": "消防",
        "data_kinds": ["gas_reading"],
    } | changes


def delivered(house: House, fire: Department) -> Outlet:
    put(house.folder, members(fire))
    run("outlet", "key", "fire")
    with house.db.read() as connection:
        (outlet,) = outlets.current(connection)
    house.hear(house.record(), house.record())
    house.build(outlet)
    house.drain(outlet)
    return outlet


def test_what_is_shown_can_be_put_back(house: House, fire: Department) -> None:
    said = put(house.folder, members(fire), {"id": "street", "mode": "pull", "signature": "none"})
    assert "fire: 已写入 / written" in said
    assert "run: pulse outlet key fire" in said
    file = house.folder / "one.yaml"
    file.write_text(run("outlet", "show", "fire"), encoding="utf-8")
    assert "as it was" in run("outlet", "put", str(file))
    assert json.loads(run("outlet", "show", "fire", "--json"))["name_zh"] == "消防"
    assert [line.split()[0] for line in run("outlet", "list").splitlines()] == ["fire", "street"]
    assert json.loads(run("outlet", "list", "--json").splitlines()[1])["mode"] == "pull"


def test_one_bad_outlet_and_none_is_taken(house: House, fire: Department) -> None:
    with pytest.raises(BadInput, match=r"outlets\[1\]\.mode"):
        put(house.folder, members(fire), {"id": "gas", "mode": "ftp"})
    with house.db.read() as connection:
        assert outlets.current(connection) == []


@pytest.mark.parametrize("said", ["", "- 1", "a: [", "outlets: []", "outlets: [1]"])
def test_a_file_that_is_none_is_said(house: House, said: str) -> None:
    file = house.folder / "bad.yaml"
    file.write_text(said, encoding="utf-8")
    with pytest.raises(BadInput, match=r"bad\.yaml"):
        run("outlet", "put", str(file))
    with pytest.raises(BadInput, match="nothing"):
        run("outlet", "put", str(house.folder / "nothing.yaml"))


def test_a_key_is_made_noted_and_never_printed(house: House, fire: Department) -> None:
    put(house.folder, members(fire))
    said = run("outlet", "key", "fire")
    made = Keys(house.folder / "outlets").signing("fire", "hmac-sha256")
    assert said.splitlines()[0] == made.id
    assert made.material.hex() not in said
    with pytest.raises(Conflict):
        run("outlet", "key", "fire")
    assert run("outlet", "key", "fire", "--replace").splitlines()[0] != made.id
    public = run("outlet", "key", "fire", "--algorithm", "ed25519")
    assert "BEGIN PUBLIC KEY" in public
    assert "PRIVATE" not in public
    with house.db.read() as connection:
        entries = audit.listing(connection, Filter(action="outlet.key"))
    assert len(entries) == 3
    assert made.material.hex() not in str(entries)
    with pytest.raises(BadInput):
        run("outlet", "key", "fire", "--algorithm", "rsa")
    with pytest.raises(NotFound):
        run("outlet", "key", "none")


def test_a_test_delivery_tells_by_its_status(house: House, fire: Department) -> None:
    put(house.folder, members(fire))
    run("outlet", "key", "fire")
    assert "received: 200" in run("outlet", "test", "fire")
    fire.answer = lambda _got: Reply(500)
    assert "did not arrive: 500" in run("outlet", "test", "fire", status=1)


def test_deliveries_receipts_and_the_funnel_are_listed(house: House, fire: Department) -> None:
    delivered(house, fire)
    assert run("outlet", "deliveries", "fire").startswith("fire-1  ")
    assert json.loads(run("outlet", "deliveries", "fire", "--json"))["state"] == "acknowledged"
    assert "fire-1  gas_reading 2" in run("sharing", "receipts")
    assert json.loads(run("sharing", "receipts", "--outlet", "fire", "--json"))["delivery"] == "fire-1"
    period = ("--from", "2026-11-22T00:00:00Z", "--to", "2026-11-24T00:00:00Z")
    assert "fire  gas_reading  2 → 2 → 2 → 2\n" in run("sharing", "funnel", *period)
    rows = [json.loads(line) for line in run("sharing", "funnel", "--json", *period).splitlines()]
    assert rows[0]["acknowledged"]["records"] == 2
    with pytest.raises(BadInput, match="--from"):
        run("sharing", "funnel", "--from", "2026-11-24T00:00:00Z", "--to", "2026-11-22T00:00:00Z")


def test_what_failed_is_tried_again_on_demand(house: House, fire: Department) -> None:
    house.clock.now = SystemClock().now_us()
    fire.answer = lambda _got: Reply(503, fields=(("Retry-After", "3600"),))
    delivered(house, fire)
    assert "failed 1 times: 503" in run("outlet", "deliveries", "fire")
    assert "503" in run("outlet", "list")
    assert run("outlet", "retry", "fire").startswith("1 份")


def test_the_chain_of_receipts_holds_and_its_end_can_be_noted(house: House, fire: Department) -> None:
    delivered(house, fire)
    holds, head = run("sharing", "verify-chain").splitlines()
    assert "1 receipts hold" in holds
    assert run("sharing", "verify-chain", "--head", head)
    assert json.loads(run("sharing", "verify-chain", "--json"))["holds"] is True
    with pytest.raises(BadInput, match="--head"):
        run("sharing", "verify-chain", "--head", "nonsense")
    other = "2:" + "a" * 64
    assert "broken" in run("sharing", "verify-chain", "--head", other, status=1)


@pytest.mark.parametrize(
    ("tables", "change", "words"),
    [
        (("receipts",), "UPDATE receipts SET acknowledged_us = acknowledged_us + 1", "was changed"),
        (("receipt_parts",), "UPDATE receipt_parts SET count = 99", "which the ratio is worked out from"),
        (("receipt_parts",), "DELETE FROM receipt_parts", "which the ratio is worked out from"),
        ((), "UPDATE deliveries SET content = X'7B7D'", "not what was acknowledged"),
        (("receipt_parts", "receipts"), "DELETE FROM receipts", "missing"),
    ],
)
def test_whatever_is_changed_beside_the_product_is_named(
    house: House, fire: Department, tables: tuple[str, ...], change: str, words: str
) -> None:
    delivered(house, fire)
    with house.db.write() as connection:
        for table in tables:
            for event in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER {table}_no_{event}"))
        if change == "DELETE FROM receipts":
            connection.execute(text("DELETE FROM receipt_parts"))
        connection.execute(text(change))
    said = run("sharing", "verify-chain", status=1)
    assert words in said
    assert "第 1 条断开" in said

"""Pushing over HTTP to real servers: what is sent, what counts as a receipt, and all that goes wrong."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pulse import certificates
from pulse.clock import SECOND_US
from pulse.sharing import signing
from pulse.sharing.outlets import Outlet, Signature
from pulse.sharing.signing import Request
from tests import servers
from tests.outlets import department
from tests.outlets.department import Department, Received, Reply
from tests.outlets.house import House


def outlet(house: House, fire: Department, **changes: Any) -> Outlet:
    """An outlet to that department, with a key."""
    members: dict[str, Any] = {"id": "fire", "mode": "http", "url": fire.url, "timeout_s": 5.0} | changes
    made = house.put(members)
    if made.algorithm is not None and not house.keys.path("fire", made.algorithm.split("-")[0]).exists():
        house.keys.make("fire", made.algorithm)
    return made


def delivered(house: House, made: Outlet) -> None:
    """One delivery with one record is made and sent."""
    house.hear(house.record())
    assert house.build(made)
    house.drain(made)


def error_of(house: House) -> str:
    """Why the first delivery did not arrive."""
    stored = house.deliveries("fire")[0]
    assert stored.state == "waiting"
    assert stored.error is not None
    assert house.receipts() == []
    last = house.accesses()[-1]
    assert (last.outcome, last.detail, last.delivery) == ("failed", stored.error, "fire-1")
    return stored.error


@pytest.mark.parametrize("signature", ["hmac-sha256", "ed25519"])
def test_a_department_can_verify_what_it_gets(house: House, fire: Department, signature: Signature) -> None:
    made = outlet(house, fire, signature=signature)
    delivered(house, made)
    (got,) = fire.received
    assert got.fields["content-type"] == "application/json"
    signing.check_digest(got.fields["content-digest"], got.body)
    assert made.algorithm is not None
    key = signing.public_of(house.keys.signing("fire", made.algorithm))
    found = signing.verify(Request(got.fields, "POST", fire.url), [key], house.clock.now / SECOND_US)
    assert found.key == key.id
    assert got.body == house.content("fire", 1)
    assert json.loads(got.body)["delivery"] == got.fields["idempotency-key"] == "fire-1"


def test_an_address_without_a_path_is_signed_as_the_far_side_sees_it(house: House, fire: Department) -> None:
    base = fire.url.partition("/in")[0]
    delivered(house, outlet(house, fire, url=base))
    (got,) = fire.received
    assert got.path == "/"
    key = house.keys.signing("fire", "hmac-sha256")
    signing.verify(Request(got.fields, "POST", f"{base}/"), [key], house.clock.now / SECOND_US)


def test_a_receipt_says_what_was_acknowledged_and_is_in_the_chain(house: House, fire: Department) -> None:
    fire.answer = lambda _got: Reply(202, "收到".encode())
    delivered(house, outlet(house, fire))
    stored = house.deliveries("fire")[0]
    (receipt,) = house.receipts()
    assert (stored.state, stored.acknowledged_us) == ("acknowledged", house.clock.now)
    assert (receipt.outlet, receipt.delivery, receipt.digest) == ("fire", "fire-1", stored.digest)
    assert receipt.parts == stored.parts
    assert json.loads(receipt.answer) == {"status": 202, "body": "收到"}
    assert receipt.acknowledged_us == house.clock.now
    assert [(a.action, a.outcome, a.delivery) for a in house.accesses()] == [("send", "done", "fire-1")]
    assert house.accesses()[0].address == fire.url.split("/")[2]


def test_an_unsigned_outlet_signs_nothing_and_csv_is_csv(house: House, fire: Department) -> None:
    delivered(house, outlet(house, fire, signature="none", format="csv"))
    (got,) = fire.received
    assert "signature" not in got.fields
    assert got.fields["content-type"] == "text/csv; charset=utf-8"
    assert got.body.decode().startswith("id,data_kind,")


def test_user_and_password_come_from_their_file(house: House, fire: Department) -> None:
    made = outlet(house, fire)
    path = house.keys.path("fire", "password")
    path.touch(0o600)
    path.write_text("pulse:s3cret words\n", encoding="utf-8")
    delivered(house, made)
    assert fire.received[0].fields["authorization"].startswith("Basic ")
    assert "s3cret" not in str(house.accesses())


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(500, b"out of order"), "500 out of order"),
        (Reply(404), "404"),
        (Reply(301, fields=(("Location", "https://evil.example/in"),)), "evil.example"),
        (Reply(307, fields=(("Location", "/elsewhere"),)), "redirects are not followed"),
        (Reply(drop=True), "no connection"),
    ],
)
def test_anything_but_2xx_is_no_receipt_and_says_why(
    house: House, fire: Department, reply: Reply, words: str
) -> None:
    fire.answer = lambda _got: reply
    made = outlet(house, fire)
    delivered(house, made)
    assert words in error_of(house)
    assert len(fire.received) == 1, "nothing was followed, nothing repeated at once"


def test_the_same_bytes_come_again_under_the_same_id(house: House, fire: Department) -> None:
    replies = [Reply(500), Reply(503), Reply()]
    fire.answer = lambda _got: replies.pop(0)
    made = outlet(house, fire)
    delivered(house, made)
    for _ in range(2):
        house.clock.now = house.deliveries("fire")[0].next_us
        house.drain(made)
    assert fire.ids() == ["fire-1"] * 3
    assert len({got.body for got in fire.received}) == 1
    assert len({got.fields["content-digest"] for got in fire.received}) == 1
    assert len(house.receipts()) == 1
    assert [a.outcome for a in house.accesses()] == ["failed", "failed", "done"]


def test_a_department_that_is_down_for_an_hour_loses_nothing(house: House, fire: Department) -> None:
    made = outlet(house, fire)
    up = fire.answer
    fire.answer = lambda _got: Reply(drop=True)
    for _ in range(60):
        house.hear(house.record(), after_s=60)
        house.build(made)
        house.drain(made)
    tries = len(fire.received)
    assert set(fire.ids()) == {"fire-1"}, "those behind it wait their turn"
    assert 10 < tries < 30, "with longer and longer pauses"
    fire.answer = up
    house.clock.now = house.deliveries("fire")[0].next_us
    house.drain(made)
    assert fire.ids()[tries:] == [f"fire-{n}" for n in range(1, 61)]
    assert [receipt.delivery for receipt in house.receipts()] == [f"fire-{n}" for n in range(1, 61)]
    records = [r["id"] for got in fire.received[tries:] for r in json.loads(got.body)["records"]]
    assert records == [f"{n:016x}" for n in range(1, 61)]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_department_that_asks_for_patience_gets_it(house: House, fire: Department, form: str) -> None:
    later = datetime.fromtimestamp(house.clock.now / SECOND_US + 3600, UTC)
    asked = "3600" if form == "seconds" else later.strftime("%a, %d %b %Y %H:%M:%S GMT")
    fire.answer = lambda _got: Reply(503, fields=(("Retry-After", asked),))
    delivered(house, outlet(house, fire))
    wait_s = (house.deliveries("fire")[0].next_us - house.clock.now) / SECOND_US
    assert 3590 < wait_s <= 3600


def test_a_flood_of_an_answer_is_cut_off(house: House, fire: Department) -> None:
    fire.answer = lambda _got: Reply(200, b"x" * 5_000_000)
    delivered(house, outlet(house, fire))
    (receipt,) = house.receipts()
    assert len(receipt.answer) < 1000


def test_a_department_that_does_not_answer_is_given_up_for_now(house: House, fire: Department) -> None:
    def never(_got: Received) -> Reply:
        import threading  # noqa: PLC0415 - used here only

        threading.Event().wait(3)
        return Reply(drop=True)

    fire.answer = never
    delivered(house, outlet(house, fire, timeout_s=1.0))
    assert "no answer within 1 s" in error_of(house)


def test_nobody_there_is_said(house: House, fire: Department) -> None:
    port = servers.free_port()
    delivered(house, outlet(house, fire, url=f"http://127.0.0.1:{port}/"))
    assert "refused" in error_of(house)


def test_a_missing_key_is_said_and_nothing_leaves_unsigned(house: House, fire: Department) -> None:
    made = outlet(house, fire)
    house.keys.path("fire", "hmac").unlink()
    delivered(house, made)
    assert "fire.hmac: " in error_of(house)
    assert str(house.folder) not in error_of(house)
    assert fire.received == []


def test_what_is_too_large_is_halved_into_new_deliveries(house: House, fire: Department) -> None:
    def answer(got: Received) -> Reply:
        return Reply(413 if len(json.loads(got.body)["records"]) > 2 else 200)

    fire.answer = answer
    made = outlet(house, fire, data_kinds=("gas_reading",))
    house.hear(*(house.record() for _ in range(7)))
    house.build(made)
    house.drain(made)
    states = {stored.id: (stored.state, stored.records) for stored in house.deliveries("fire")}
    assert states == {
        "fire-1": ("split", 7),
        "fire-2": ("split", 3),
        "fire-3": ("split", 4),
        "fire-4": ("acknowledged", 1),
        "fire-5": ("acknowledged", 2),
        "fire-6": ("acknowledged", 2),
        "fire-7": ("acknowledged", 2),
    }
    taken = {receipt.delivery for receipt in house.receipts()}
    records = sorted(
        record["id"]
        for got in fire.received
        if got.fields["idempotency-key"] in taken
        for record in json.loads(got.body)["records"]
    )
    assert records == [f"{n:016x}" for n in range(1, 8)], "each record once, in one that was acknowledged"
    house.hear(*(house.record() for _ in range(4)))
    house.build(made)
    assert [stored.records for stored in house.deliveries("fire")[7:]] == [2, 2], "it was learned from"


def test_a_single_record_that_is_too_large_waits_and_says_so(house: House, fire: Department) -> None:
    fire.answer = lambda _got: Reply(413, b"no")
    made = outlet(house, fire)
    delivered(house, made)
    assert "413" in error_of(house)
    assert len(house.deliveries("fire")) == 1


# TLS.


def authority(folder: Path) -> certificates.Pair:
    now = datetime.now(UTC)
    certificates.make_authority(folder, now)
    return certificates.make_server(folder, ["127.0.0.1"], now)


def trusting(house: House, folder: Path) -> None:
    house.keys.folder.mkdir(exist_ok=True)
    shutil.copy(folder / "ca.pem", house.keys.path("fire", "ca.pem"))


def test_a_certificate_of_the_outlets_own_ca_is_accepted(house: House, tmp_path: Path) -> None:
    pair = authority(tmp_path / "tls")
    trusting(house, tmp_path / "tls")
    with department.serving(pair.certificate, pair.key) as fire:
        delivered(house, outlet(house, fire))
    assert len(house.receipts()) == 1


def test_an_authority_that_is_not_trusted_gets_nothing(house: House, tmp_path: Path) -> None:
    pair = authority(tmp_path / "tls")
    with department.serving(pair.certificate, pair.key) as fire:
        delivered(house, outlet(house, fire))
        assert "CA" in error_of(house)
        assert fire.received == []


def test_a_self_signed_certificate_gets_nothing(house: House, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority(tmp_path / "trusted")
    trusting(house, tmp_path / "trusted")
    alone = certificates.make_authority(tmp_path / "alone", now)
    with department.serving(alone.certificate, alone.key) as fire:
        delivered(house, outlet(house, fire))
        assert "self-signed" in error_of(house)
        assert fire.received == []


def test_an_expired_certificate_gets_nothing(house: House, tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=certificates.SERVER_DAYS + 10)
    certificates.make_authority(tmp_path / "tls", long_ago)
    pair = certificates.make_server(tmp_path / "tls", ["127.0.0.1"], long_ago)
    trusting(house, tmp_path / "tls")
    with department.serving(pair.certificate, pair.key) as fire:
        delivered(house, outlet(house, fire))
        assert "expired" in error_of(house)
        assert fire.received == []


def test_a_certificate_for_another_host_gets_nothing(house: House, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    certificates.make_authority(tmp_path / "tls", now)
    pair = certificates.make_server(tmp_path / "tls", ["other.example"], now)
    trusting(house, tmp_path / "tls")
    with department.serving(pair.certificate, pair.key) as fire:
        delivered(house, outlet(house, fire))
        assert "another host" in error_of(house)
        assert fire.received == []


def test_a_ca_file_that_is_none_is_said(house: House, tmp_path: Path) -> None:
    pair = authority(tmp_path / "tls")
    house.keys.folder.mkdir(exist_ok=True)
    house.keys.path("fire", "ca.pem").write_text("nothing", encoding="utf-8")
    with department.serving(pair.certificate, pair.key) as fire:
        delivered(house, outlet(house, fire))
        assert "fire.ca.pem" in error_of(house)

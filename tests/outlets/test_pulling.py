"""A department that fetches: pages, commits that are receipts, and everything that is refused."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from pulse.access import keys as tokens
from pulse.access import people
from pulse.access.roles import Role, command_line
from pulse.clock import DAY_US, SECOND_US
from pulse.sharing import signing
from pulse.sharing.outlets import Outlet
from pulse.sharing.signing import Request
from pulse.stores.relational import deliveries
from tests.outlets.house import House

STREET = Outlet(id="street", mode="pull", data_kinds=("gas_reading",), most_records=2, signature="ed25519")
CLI = command_line("root", "host")


class Puller:
    """A department with a token of its own."""

    def __init__(self, client: TestClient, token: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}

    def get(self, outlet: str = "street", **query: str) -> Any:
        return self._client.get(
            f"/api/v1/sharing/outlets/{outlet}/deliveries", params=query, headers=self._headers
        )

    def commit(self, cursor: str, outlet: str = "street") -> Any:
        return self._client.post(
            f"/api/v1/sharing/outlets/{outlet}/cursor", json={"cursor": cursor}, headers=self._headers
        )


@pytest.fixture
def puller(house: House) -> Iterator[Puller]:
    house.keys.make("street", "ed25519")
    house.put(STREET)
    house.put(Outlet(id="other", mode="pull"))
    house.hear(*(house.record() for _ in range(5)))
    house.build(STREET)
    with house.db.write() as connection:
        user = people.create(
            connection, CLI, "street-office", Role.DEPARTMENT, house.clock.now, outlets=["street"]
        )
        made = tokens.create(connection, CLI, user, "puller", ["sharing:pull"], None, 30, house.clock.now)
    with TestClient(create_app(house.context, pages=False)) as client:
        yield Puller(client, made.secret)


class Pulled(msgspec.Struct):
    delivery: str
    cursor: str
    content_type: str
    content_digest: str
    signature_input: str
    signature: str
    body: msgspec.Raw


class Page(msgspec.Struct):
    deliveries: list[Pulled]
    more: bool


def page(answer: Any) -> Page:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Page)


def test_a_puller_gets_everything_in_its_order_and_can_verify_it(house: House, puller: Puller) -> None:
    cursor, records = "", []
    while True:
        found = page(puller.get(**({"cursor": cursor} if cursor else {})))
        if not found.deliveries:
            break
        (got,) = found.deliveries
        content = bytes(got.body)
        signing.check_digest(got.content_digest, content)
        fields = {
            "content-type": got.content_type,
            "content-digest": got.content_digest,
            "delivery": got.delivery,
            "signature-input": got.signature_input,
            "signature": got.signature,
        }
        key = signing.public_of(house.keys.signing("street", "ed25519"))
        signing.verify(Request(fields), [key], house.clock.now / SECOND_US, required=signing.MESSAGE)
        records += [record["id"] for record in json.loads(content)["records"]]
        cursor = got.cursor
        assert puller.commit(cursor).json() == {"cursor": cursor, "receipts": 1}
    assert records == [f"{n:016x}" for n in range(1, 6)]
    assert [receipt.delivery for receipt in house.receipts()] == ["street-1", "street-2", "street-3"]
    answer = json.loads(house.receipts()[0].answer)
    assert answer["cursor"] == "street-1"
    assert answer["actor"].startswith("token:")


def test_what_is_not_committed_is_given_again_byte_for_byte(house: House, puller: Puller) -> None:
    first = page(puller.get(limit="2"))
    house.clock.now += SECOND_US
    again = page(puller.get(limit="2"))
    assert [bytes(d.body) for d in first.deliveries] == [bytes(d.body) for d in again.deliveries]
    assert house.receipts() == []
    assert puller.commit("street-2").json()["receipts"] == 2
    assert [d.delivery for d in page(puller.get()).deliveries] == ["street-3"]


def test_to_commit_twice_makes_no_second_receipt(house: House, puller: Puller) -> None:
    puller.get()
    assert puller.commit("street-1").json()["receipts"] == 1
    assert puller.commit("street-1").json()["receipts"] == 0
    assert len(house.receipts()) == 1


@pytest.mark.parametrize(
    ("cursor", "words"),
    [
        ("street-99", "from the future"),
        ("street-10", "from the future"),
        ("other-1", "no cursor that this outlet gave"),
        ("nonsense", "no cursor that this outlet gave"),
        ("street-01", "no cursor that this outlet gave"),
        ("街道-1", "no cursor that this outlet gave"),
        ("street-3", "was not fetched yet"),
    ],
)
def test_a_cursor_that_cannot_be_is_refused_recorded_and_loses_nothing(
    house: House, puller: Puller, cursor: str, words: str
) -> None:
    puller.get()
    answer = puller.commit(cursor)
    assert answer.status_code == 422
    assert words in answer.text
    last = house.accesses()[-1]
    assert (last.action, last.outcome) == ("commit", "refused")
    assert words in last.detail
    assert last.actor.startswith("token:")
    assert house.receipts() == []
    assert page(puller.get()).deliveries[0].delivery == "street-1"


def test_pulling_behind_the_last_delivery_waits_for_the_next(house: House, puller: Puller) -> None:
    assert page(puller.get(cursor="street-3")).deliveries == []
    assert puller.get(cursor="street-4").status_code == 422
    house.hear(house.record())
    house.build(STREET)
    assert [d.delivery for d in page(puller.get(cursor="street-3")).deliveries] == ["street-4"]


@pytest.mark.parametrize("outlet", ["other", "nothing"])
def test_another_departments_outlet_is_refused_and_both_logs_have_it(
    house: House, puller: Puller, outlet: str
) -> None:
    assert puller.get(outlet).status_code == 403
    assert puller.commit(f"{outlet}-1", outlet).status_code == 403
    assert [(a.outlet, a.action, a.outcome) for a in house.accesses()] == [
        (outlet, "pull", "refused"),
        (outlet, "commit", "refused"),
    ]


def test_every_fetch_and_commit_is_written_down(house: House, puller: Puller) -> None:
    puller.get(limit="2")
    puller.commit("street-2")
    assert [(a.action, a.outcome, a.delivery) for a in house.accesses()] == [
        ("pull", "done", "street-1"),
        ("pull", "done", "street-2"),
        ("commit", "done", "street-1"),
        ("commit", "done", "street-2"),
    ]
    assert {a.address for a in house.accesses()} == {"testclient"}


def test_without_its_key_nothing_is_handed_out_unsigned(house: House, puller: Puller) -> None:
    house.keys.path("street", "ed25519").chmod(0o644)
    answer = puller.get()
    assert answer.status_code == 409
    assert "chmod 600" in answer.text
    assert house.deliveries("street")[0].sent_us is None


def test_a_disabled_outlet_hands_out_nothing(house: House, puller: Puller) -> None:
    house.put(msgspec.structs.replace(STREET, disabled=True))
    assert puller.get().status_code == 409


def test_csv_comes_as_text(house: House, puller: Puller) -> None:
    made = house.put(msgspec.structs.replace(STREET, format="csv"))
    house.hear(house.record())
    house.build(made)
    answer = puller.get(cursor="street-3").json()
    (got,) = answer["deliveries"]
    assert got["body"].startswith("id,data_kind,")
    signing.check_digest(got["content_digest"], got["body"].encode())


def test_a_page_ends_before_it_grows_too_large(house: House, puller: Puller) -> None:
    body = b'{"lel_pct":1,"alarm":"' + b"x" * 900_000 + b'"}'
    for _ in range(6):
        house.hear(house.record(body=body))
        house.build(STREET)
    found = page(puller.get(cursor="street-3", limit="100"))
    assert 2 <= len(found.deliveries) < 6
    assert found.more


def test_what_is_kept_no_longer_is_said(house: House, puller: Puller) -> None:
    puller.get(limit="3")
    puller.commit("street-3")
    with house.db.write() as connection:
        deliveries.trim(connection, house.clock.now + DAY_US)
    answer = puller.get(cursor="street-1")
    assert answer.status_code == 422
    assert "kept no longer" in answer.text
    assert page(puller.get()).deliveries == []


def test_other_parameters_are_refused(puller: Puller) -> None:
    assert puller.get(curser="street-1").status_code == 422
    assert puller.get(limit="0").status_code == 422

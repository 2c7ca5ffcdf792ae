"""Outlets are checked when they are made, and say which member is wrong."""

from typing import Any

import pytest

from pulse.errors import BadInput
from pulse.sharing import outlets
from pulse.sharing.outlets import Address

HTTP: dict[str, Any] = {"id": "fire", "mode": "http", "url": "https://fire.example/in"}
MQTT: dict[str, Any] = {"id": "gas", "mode": "mqtt", "url": "mqtts://gas.example"}
PULL: dict[str, Any] = {"id": "street", "mode": "pull"}


@pytest.mark.parametrize("members", [HTTP, MQTT, PULL])
def test_what_is_written_is_read_again(members: dict[str, Any]) -> None:
    outlet = outlets.checked(
        members
        | {
            "name_zh": "消防",
            "department": "消防救援大队",
            "data_kinds": ["gas_reading"],
            "communities": ["xinjinglou"],
            "fields": {"gas_reading": ["lel_pct"]},
            "every_s": 60,
        }
    )
    assert outlets.checked(outlets.members(outlet)) == outlet


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"id": "a/b"}, "id"),
        ({"id": "a" * 41}, "id"),
        ({"mode": "ftp"}, "mode"),
        ({"url": "ftp://fire.example"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://fire.example:99999/"}, "url"),
        ({"url": "https://user:secret@fire.example/"}, "url"),
        ({"url": "https://fire.example/#x"}, "url"),
        ({"url": "https://fire.example/ x"}, "url"),
        ({"url": "https://fire.example/消防"}, "url"),
        ({"url": "http://fire.example/in"}, "url"),
        ({"url": "mqtts://fire.example"}, "url"),
        ({"topic": "a"}, "topic"),
        ({"at": "24:00"}, "at"),
        ({"at": "8:00"}, "at"),
        ({"at": "08:00", "every_s": 60}, "at"),
        ({"every_s": 0}, "every_s"),
        ({"most_records": 0}, "most_records"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"data_kinds": []}, "data_kinds"),
        ({"communities": ["a b"]}, "communities[0]"),
        ({"communities": ["a\n"]}, "communities[0]"),
        ({"fields": {"gas_reading": []}}, "fields[...]"),
        ({"fields": {"gas_reading": ["a\nb"]}}, "fields.gas_reading[0]"),
        ({"data_kinds": ["lock_status"], "fields": {"gas_reading": ["a"]}}, "fields.gas_reading"),
        ({"format": "xml"}, "format"),
        ({"signature": "md5"}, "signature"),
    ],
)
def test_what_cannot_be_names_the_member(change: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as caught:
        outlets.checked(HTTP | change, "outlets[0]")
    assert caught.value.where == f"outlets[0].{where}"


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(BadInput, match="pasword"):
        outlets.checked(HTTP | {"pasword": "x"})


def test_a_password_in_the_address_is_not_repeated() -> None:
    with pytest.raises(BadInput) as caught:
        outlets.checked(HTTP | {"url": "https://user:hunter2hunter2@fire.example/"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/in", "http://localhost/", "http://[::1]/in"])
def test_plain_text_is_for_this_machine_or_said_on_purpose(url: str) -> None:
    assert outlets.checked(HTTP | {"url": url}).url == url
    assert outlets.checked(HTTP | {"url": "http://fire.example/", "insecure": True}).insecure


@pytest.mark.parametrize("topic", ["a/#", "a/+", "$SYS/a", "/a", "a\tb"])
def test_a_topic_to_publish_to_has_no_wildcards(topic: str) -> None:
    with pytest.raises(BadInput, match="topic"):
        outlets.checked(MQTT | {"topic": topic})


def test_an_outlet_that_is_pulled_from_has_no_address() -> None:
    with pytest.raises(BadInput, match="url"):
        outlets.checked(PULL | {"url": "https://street.example"})


def test_addresses_have_the_usual_ports() -> None:
    assert outlets.address(outlets.checked(HTTP)) == Address(True, "fire.example", 443)
    assert outlets.address(outlets.checked(MQTT)) == Address(True, "gas.example", 8883)
    plain = outlets.checked(MQTT | {"url": "mqtt://127.0.0.1:1884"})
    assert outlets.address(plain) == Address(False, "127.0.0.1", 1884)


def test_the_topic_is_the_outlets_unless_said() -> None:
    assert outlets.checked(MQTT).published_to == "pulse/sharing/gas"
    assert outlets.checked(MQTT | {"topic": "in/gas"}).published_to == "in/gas"


def test_what_is_not_said_stands_for_all() -> None:
    assert outlets.checked(HTTP).takes("gas_reading", "xinjinglou")
    chosen = outlets.checked(HTTP | {"data_kinds": ["gas_reading"], "communities": ["xinjinglou"]})
    assert chosen.takes("gas_reading", "xinjinglou")
    assert not chosen.takes("lock_status", "xinjinglou")
    assert not chosen.takes("gas_reading", "yiminyuan")


def test_a_schedule_is_at_once_unless_said() -> None:
    assert outlets.checked(HTTP).immediate
    assert not outlets.checked(HTTP | {"every_s": 60}).immediate
    assert outlets.checked(HTTP | {"at": "08:30"}).at_minutes == 510

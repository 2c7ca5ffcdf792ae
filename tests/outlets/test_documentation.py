"""What docs/sharing.md tells departments works as it stands, in both languages."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulse.clock import SECOND_US
from pulse.sharing import keyfiles, outlets, signing
from pulse.sharing.outlets import Outlet
from pulse.sharing.signing import Request
from tests.outlets.department import Department
from tests.outlets.house import House

DOCS = Path(__file__).resolve().parents[2] / "docs"
BOTH = pytest.mark.parametrize("document", ["sharing.md", "sharing.zh-CN.md"])
SECRET = bytes(range(32))


def blocks(document: str, kind: str) -> list[str]:
    text = (DOCS / document).read_text(encoding="utf-8")
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def verifier(document: str) -> Callable[..., None]:
    (code,) = blocks(document, "python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - what readers are told to run
    found: Callable[..., None] = names["verify"]
    return found


def worked(document: str) -> tuple[bytes, dict[str, str]]:
    content, said = blocks(document, "text")
    fields = dict(line.split(": ", 1) for line in said.strip().splitlines())
    return content.strip().encode(), {name.lower(): value for name, value in fields.items()}


@BOTH
def test_the_worked_example_is_what_we_send_and_what_its_verifier_accepts(document: str) -> None:
    body, fields = worked(document)
    target = "https://fire.example.org/in"
    key = keyfiles.hmac_key("fire", SECRET.hex().encode(), "docs")
    found = signing.verify(Request(fields, "POST", target), [key], 1795420800)
    assert found.key == "fire-df699bf6"
    signing.check_digest(fields["content-digest"], body)
    verify = verifier(document)
    verify(target, fields, body, SECRET, 1795420800)
    for spoilt in (
        (target + "x", fields, body, SECRET, 1795420800),
        (target, fields, body + b" ", SECRET, 1795420800),
        (target, fields, body, b"other" * 8, 1795420800),
        (target, fields, body, SECRET, 1795420800 + 301),
        (target, fields | {"idempotency-key": "fire-2"}, body, SECRET, 1795420800),
    ):
        with pytest.raises(ValueError, match=r"."):
            verify(*spoilt)


@BOTH
def test_the_documented_verifier_accepts_what_really_comes(
    house: House, fire: Department, document: str
) -> None:
    made = house.put(Outlet(id="fire", mode="http", url=fire.url))
    key = house.keys.make("fire", "hmac-sha256")
    house.hear(house.record())
    house.build(made)
    house.drain(made)
    (got,) = fire.received
    verifier(document)(fire.url, got.fields, got.body, key.material, house.clock.now / SECOND_US)


@BOTH
def test_the_documented_outlet_can_be_put(document: str) -> None:
    (said,) = blocks(document, "yaml")
    (one,) = yaml.safe_load(said)["outlets"]
    assert outlets.checked(one).every_s == 300

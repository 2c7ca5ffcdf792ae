"""Password and access files mean the same to the embedded broker as to mosquitto."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.broker import acl
from collector.broker.acl import Access
from pulse.broker import passwords
from pulse.errors import BadInput
from tests import programs


def test_a_password_matches_its_own_entry_only() -> None:
    entry = passwords.hashed("open sesame", iterations=100)
    assert passwords.matches("open sesame", entry)
    assert not passwords.matches("open sesame ", entry)
    assert passwords.hashed("open sesame", iterations=100) != entry


@given(st.text(alphabet="$0123456789abcdef=+/", max_size=60))
def test_a_malformed_entry_matches_nothing(entry: str) -> None:
    assert not passwords.matches("", "$7$" + entry)


def test_reads_what_mosquitto_passwd_writes(tmp_path: Path) -> None:
    program = programs.require("mosquitto_passwd")
    path = tmp_path / "passwords"
    subprocess.run([str(program), "-c", "-b", str(path), "d1", "secret"], check=True, capture_output=True)
    entries = passwords.read(path)
    assert passwords.matches("secret", entries["d1"])
    assert not passwords.matches("other", entries["d1"])


@pytest.mark.parametrize("user", ["", "a:b", "a\nb"])
def test_a_name_that_would_break_the_file_is_refused(user: str) -> None:
    with pytest.raises(BadInput):
        passwords.rendered({user: "$7$x"})


def test_a_bad_line_of_a_password_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_text("# people\nd1:plain\n")
    with pytest.raises(BadInput, match="line 2"):
        passwords.read(path)


ACL = """\
# before any user: anonymous clients
topic read public/#

user collector
topic read community/#
topic readwrite pulse/#
topic deny pulse/secret

pattern write community/+/+/%u/#
pattern read client/%c
"""


@pytest.mark.parametrize(
    ("user", "client", "topic", "access", "allowed"),
    [
        ("d1", "x", "community/c/camera/d1/heartbeat", Access.WRITE, True),
        ("d1", "x", "community/c/camera/d1", Access.WRITE, True),
        ("d1", "x", "community/c/camera/d1/data/video_status", Access.WRITE, True),
        ("d1", "x", "community/c/camera/d2/data/video_status", Access.WRITE, False),
        ("collector", "x", "community/c/camera/d2/data/video_status", Access.READ, True),
        ("d1", "x", "community/c/camera/d1/heartbeat", Access.READ, False),
        ("d1", "x", "community/c/camera/d2/heartbeat", Access.WRITE, False),
        ("d1", "x", "community/c/d1/heartbeat", Access.WRITE, False),
        ("+", "x", "community/c/camera/d2/heartbeat", Access.WRITE, False),
        ("#", "x", "community/c/camera/d2/heartbeat", Access.WRITE, False),
        ("camera/d2", "x", "community/c/camera/d2/heartbeat", Access.WRITE, False),
        (None, "x", "community/c/camera//heartbeat", Access.WRITE, False),
        (None, "x", "public/a", Access.READ, True),
        ("d1", "x", "public/a", Access.READ, False),
        ("collector", "x", "community/c/camera/d2/heartbeat", Access.READ, True),
        ("collector", "x", "community/c/camera/d2/heartbeat", Access.WRITE, False),
        ("collector", "x", "pulse/indicators/a", Access.WRITE, True),
        ("collector", "x", "pulse/secret", Access.READ, False),
        ("d1", "me", "client/me", Access.READ, True),
        ("d1", "me", "client/you", Access.READ, False),
    ],
)
def test_an_access_file_decides(
    user: str | None, client: str, topic: str, access: Access, allowed: bool
) -> None:
    assert acl.parse(ACL, "acl").allows(user, client, topic, access) is allowed


def test_a_wildcard_never_covers_system_topics() -> None:
    rules = acl.parse("user a\ntopic read #\n", "acl")
    assert rules.allows("a", "c", "community/x", Access.READ)
    assert not rules.allows("a", "c", "$SYS/broker/uptime", Access.READ)


@pytest.mark.parametrize("line", ["topic", "allow a", "topic read a/#/b", "topic read a+/b", "user"])
def test_a_bad_line_of_an_access_file_is_named(line: str) -> None:
    with pytest.raises(BadInput, match="acl, line 2"):
        acl.parse(f"# first\n{line}\n", "acl")

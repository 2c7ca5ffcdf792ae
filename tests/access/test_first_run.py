"""The first start: a link to make the administrator, or the demo's accounts."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pulse.access import passwords, people
from pulse.access.roles import Role, command_line
from pulse.clock import SystemClock
from pulse.commands import serve
from pulse.commands.demoaccounts import Accounts
from pulse.commands.parts import Parts
from pulse.errors import BadInput, NotFound
from pulse.registry.model import Community
from pulse.settings import load
from pulse.stores.relational import registry, users
from pulse.stores.relational.database import Database
from pulse.stores.sqlite import SqliteTelemetryStore


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    db, store = Database(f"sqlite:///{tmp_path / 'pulse.db'}"), SqliteTelemetryStore(tmp_path / "t.db")
    db.open()
    store.open()
    with db.write() as connection:
        names = ("xinjinglou", "rongxinyuan")
        registry.put_communities(connection, [Community(name, name, "") for name in names], 1)
    with closing(db), closing(store):
        yield Parts(load(data_dir=tmp_path), db, store, SystemClock())


def offered(parts: Parts, capsys: pytest.CaptureFixture[str]) -> str | None:
    """The code of the link that a start prints, None if it prints nothing."""
    serve.offer_setup(parts)
    said = capsys.readouterr()
    assert said.err == ""
    if not said.out:
        return None
    found = re.search(r"http://127\.0\.0\.1:8000/setup#(\S+)$", said.out, re.MULTILINE)
    assert found is not None, said.out
    return found[1]


def test_each_start_offers_another_link_until_there_is_an_administrator(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = offered(parts, capsys), offered(parts, capsys)
    assert first is not None
    assert second is not None
    now_us = parts.clock.now_us()
    with parts.db.read() as connection:
        with pytest.raises(NotFound):
            people.whom(connection, first, now_us)
        assert people.whom(connection, second, now_us) is None
    with parts.db.write() as connection:
        people.create(connection, command_line("ann", "host"), "ann", Role.ADMIN, now_us)
    assert offered(parts, capsys) is None
    with parts.db.read() as connection, pytest.raises(NotFound):
        people.whom(connection, second, now_us)


def test_the_demo_has_an_account_of_each_role_and_keeps_its_passwords(parts: Parts, tmp_path: Path) -> None:
    made = Accounts(tmp_path)
    made.provide(parts)
    assert made.path.stat().st_mode & 0o777 == 0o600
    with parts.db.read() as connection:
        for user in users.all_of(connection):
            assert passwords.matches(made.passwords[user.name], user.password_hash)
            assert user.name == user.role
            assert made.passwords[user.name] in made.shown()
        assert {user.role for user in users.all_of(connection)} == set(Role)
        assert people.must_be(connection, "manager").communities == frozenset({"xinjinglou"})
        assert people.must_be(connection, "evaluator").communities is None
        before = users.all_of(connection)
    again = Accounts(tmp_path)
    again.provide(parts)
    assert again.passwords == made.passwords
    with parts.db.read() as connection:
        assert users.all_of(connection) == before


def test_a_lost_file_of_accounts_is_made_anew_with_passwords_that_work(parts: Parts, tmp_path: Path) -> None:
    first = Accounts(tmp_path)
    first.provide(parts)
    first.path.unlink()
    second = Accounts(tmp_path)
    second.provide(parts)
    with parts.db.read() as connection:
        for name, password in second.passwords.items():
            assert password != first.passwords[name]
            assert passwords.matches(password, people.must_be(connection, name).password_hash)


def test_a_file_of_accounts_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "accounts.txt").write_text("admin\n")
    with pytest.raises(BadInput, match=r"accounts\.txt: .*NAME PASSWORD"):
        Accounts(tmp_path)

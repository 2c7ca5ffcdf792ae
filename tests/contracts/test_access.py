"""Accounts, sessions, tokens and the audit log on every relational back end."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from pulse import chain
from pulse.access import entry, keys, own, passwords, people, secrets
from pulse.access.chain import Entry, links
from pulse.access.entry import Lifetime, Refused, SignedIn
from pulse.access.lockout import Attempts, user_subject
from pulse.access.people import Change
from pulse.access.roles import Permission, Role, command_line
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.errors import BadInput, Conflict, NotFound, PulseError
from pulse.registry.model import Community
from pulse.stores.relational import attempts, audit, registry, sessions, tokens, users
from pulse.stores.relational.audit import Filter
from pulse.stores.relational.database import Database
from pulse.stores.relational.users import User
from tests import servers
from tests.stores.relational.backends import BACKENDS, empty_url, opened

T = 1_700_000_000 * SECOND_US
CLI = command_line("root", "host")
LIFETIME = Lifetime()
PASSWORD = "correct horse battery staple"
HASH = passwords.hashed(PASSWORD)


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with opened(empty_url(request, tmp_path)) as database:
        with database.write() as connection:
            registry.put_communities(connection, [Community("xinjinglou"), Community("yiminyuan")], T)
        yield database


def make(db: Database, name: str, role: Role = Role.MANAGER, *communities: str) -> User:
    with db.write() as connection:
        return people.create(
            connection, CLI, name, role, T, communities=communities or None, password_hash=HASH
        )


def come(
    db: Database, name: str, password: str = PASSWORD, now_us: int = T, address: str = "192.0.2.7"
) -> object:
    return entry.sign_in(db, name, password, now_us, address=address, agent="Firefox", lifetime=LIFETIME)


def signed_in(db: Database, name: str, now_us: int = T) -> SignedIn:
    found = come(db, name, now_us=now_us)
    assert isinstance(found, SignedIn)
    return found


def log(db: Database, **wanted: str) -> list[Entry]:
    with db.read() as connection:
        return audit.listing(connection, Filter(**wanted))  # type: ignore[arg-type]


def holds(db: Database) -> chain.Broken | None:
    with db.read() as connection:
        return chain.first_broken(links(audit.walk(connection)), audit.head(connection))


# Accounts


def test_a_user_is_made_once_with_communities_that_exist(db: Database) -> None:
    user = make(db, "wang", Role.MANAGER, "xinjinglou")
    assert user.communities == frozenset({"xinjinglou"})
    with pytest.raises(Conflict, match="wang"):
        make(db, "wang")
    with pytest.raises(BadInput, match="nowhere"):
        make(db, "li", Role.MANAGER, "nowhere")
    with pytest.raises(BadInput, match="name"):
        make(db, "Wang Wei")
    with db.read() as connection:
        assert [u.name for u in users.all_of(connection)] == ["wang"]
        assert users.named(connection, "wang") == user


def test_administrators_have_every_community_and_departments_none(db: Database) -> None:
    assert make(db, "admin", Role.ADMIN, "xinjinglou").communities is None
    assert make(db, "fire", Role.DEPARTMENT, "xinjinglou").communities == frozenset()


def test_the_last_administrator_stays(db: Database) -> None:
    admin = make(db, "admin", Role.ADMIN)
    for wanted in (Change(disabled=True), Change(role=Role.VIEWER)):
        with pytest.raises(Conflict, match="administrator"), db.write() as connection:
            people.change(connection, CLI, admin, wanted, T)
    make(db, "second", Role.ADMIN)
    with db.write() as connection:
        assert people.change(connection, CLI, admin, Change(disabled=True), T).disabled_us == T


def test_who_may_less_than_before_is_signed_out_everywhere(db: Database) -> None:
    user = make(db, "wang", Role.MANAGER)
    session = signed_in(db, "wang")
    with db.write() as connection:
        token = keys.create(connection, CLI, user, "脚本", ["devices:read"], None, 30, T)
        changed = people.change(connection, CLI, user, Change(communities=frozenset({"yiminyuan"})), T + 1)
    assert entry.of_session(db, session.secret, T + 2, LIFETIME) is None
    actor = entry.of_token(db, token.secret, T + 2, "")
    assert actor is not None
    assert actor.communities == frozenset({"yiminyuan"})
    with db.write() as connection:
        people.change(connection, CLI, changed, Change(disabled=True), T + 3)
    assert entry.of_token(db, token.secret, T + 4, "") is None
    assert isinstance(come(db, "wang"), Refused)
    (last,) = [e for e in log(db, action="user.change") if '"disabled":true' in str(e.after)]
    assert json.loads(str(last.before))["disabled"] is False


# First administrator and invitations


def test_the_first_administrator_is_made_with_a_code_that_works_once(db: Database) -> None:
    with db.write() as connection:
        stale = people.begin_setup(connection, CLI, T)
        code = people.begin_setup(connection, CLI, T + 1)
    assert stale is not None
    assert code is not None
    for bad in (stale, "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", ""):
        with pytest.raises(NotFound), db.write() as connection:
            people.accept(connection, bad, "boss", HASH, T + 2, "192.0.2.7")
    with pytest.raises(NotFound), db.write() as connection:
        people.accept(connection, code, "boss", HASH, T + 1 + people.SETUP_FOR_US, "")
    with db.write() as connection:
        admin = people.accept(connection, code.lower(), "boss", HASH, T + 2, "192.0.2.7")
        assert admin.role is Role.ADMIN
        assert people.begin_setup(connection, CLI, T + 3) is None
    with pytest.raises(NotFound), db.write() as connection:
        people.accept(connection, code, "boss2", HASH, T + 3, "")
    (created,) = log(db, action="user.create")
    assert (created.actor, created.origin) == ("user:boss", "192.0.2.7")


def test_an_open_set_up_link_ends_with_the_first_administrator(db: Database) -> None:
    with db.write() as connection:
        code = people.begin_setup(connection, CLI, T)
    assert code is not None
    make(db, "admin", Role.ADMIN)
    with pytest.raises(NotFound), db.write() as connection:
        people.accept(connection, code, "mallory", HASH, T + 1, "")


def test_an_invited_user_chooses_a_password_and_nobody_else_can(db: Database) -> None:
    with db.write() as connection:
        user = people.create(connection, CLI, "li", Role.EVALUATOR, T)
    assert isinstance(come(db, "li"), Refused)
    with db.write() as connection:
        first = people.invite(connection, CLI, user, T)
        code = people.invite(connection, CLI, user, T + 1)
    with pytest.raises(NotFound), db.read() as connection:
        people.whom(connection, first, T + 2)
    with db.read() as connection:
        assert people.whom(connection, code, T + 2) == user
    with db.write() as connection:
        people.accept(connection, code, "ignored", HASH, T + 2, "192.0.2.7")
    assert signed_in(db, "li").user.name == "li"
    with pytest.raises(NotFound), db.write() as connection:
        people.accept(connection, code, "li", HASH, T + 3, "")


def test_an_invitation_ends_with_another_password_and_with_the_account(db: Database) -> None:
    user = make(db, "wang")
    with db.write() as connection:
        code = people.invite(connection, CLI, user, T)
        people.set_password(connection, CLI, user, HASH, T + 1)
    with pytest.raises(NotFound), db.write() as connection:
        people.accept(connection, code, "", HASH, T + 2, "192.0.2.7")
    with db.write() as connection:
        code = people.invite(connection, CLI, user, T + 3)
        off = people.change(connection, CLI, user, Change(disabled=True), T + 4)
        people.change(connection, CLI, off, Change(disabled=False), T + 5)
    with pytest.raises(NotFound), db.write() as connection:
        people.accept(connection, code, "", HASH, T + 6, "192.0.2.7")


def test_another_password_gives_nobody_back_what_an_administrator_took_meanwhile(db: Database) -> None:
    before = make(db, "wang", Role.MANAGER)
    with db.write() as connection:
        people.change(connection, CLI, before, Change(role=Role.VIEWER), T + 1)
        people.set_password(connection, CLI, before, HASH, T + 2)
        assert people.must_be(connection, "wang").role is Role.VIEWER


# Sessions


def test_a_session_ends_unused_too_old_signed_out_or_revoked(db: Database) -> None:
    make(db, "wang")
    unused = signed_in(db, "wang").secret
    assert entry.of_session(db, unused, T + LIFETIME.idle_us - 1, LIFETIME) is not None
    assert entry.of_session(db, unused, T + 2 * LIFETIME.idle_us - 2, LIFETIME) is not None, "a use counts"
    assert entry.of_session(db, unused, T + 4 * LIFETIME.idle_us, LIFETIME) is None
    busy = signed_in(db, "wang").secret
    for minutes in range(20, 12 * 60, 20):
        assert entry.of_session(db, busy, T + minutes * MINUTE_US, LIFETIME) is not None
    assert entry.of_session(db, busy, T + 12 * HOUR_US, LIFETIME) is None
    left = signed_in(db, "wang").secret
    entry.sign_out(db, left, T + 1, "192.0.2.7")
    assert entry.of_session(db, left, T + 2, LIFETIME) is None
    kept, ended = signed_in(db, "wang"), signed_in(db, "wang")
    with db.write() as connection:
        sessions.revoke(connection, ended.session.id, T + 1)
    assert entry.of_session(db, ended.secret, T + 2, LIFETIME) is None
    assert entry.of_session(db, kept.secret, T + 2, LIFETIME) is not None
    assert entry.of_session(db, "x" * 43, T + 2, LIFETIME) is None


def test_another_password_ends_the_other_sessions(db: Database) -> None:
    user = make(db, "wang")
    here, there = signed_in(db, "wang"), signed_in(db, "wang")
    with db.write() as connection:
        people.set_password(connection, CLI, user, HASH, T + 1, keep_session=here.session.id)
    assert entry.of_session(db, here.secret, T + 2, LIFETIME) is not None
    assert entry.of_session(db, there.secret, T + 2, LIFETIME) is None


def test_secrets_are_kept_as_digests_only(db: Database) -> None:
    user = make(db, "wang")
    session = signed_in(db, "wang")
    with db.write() as connection:
        token = keys.create(connection, CLI, user, "脚本", ["devices:read"], None, 30, T)
        code = people.invite(connection, CLI, user, T)
    with db.read() as connection:
        kept = str(
            [
                list(connection.execute(text(f"SELECT * FROM {t}")))
                for t in ("sessions", "tokens", "invitations", "audit", "meta", "users")
            ]
        )
    for secret in (session.secret, token.secret, code, PASSWORD):
        assert secret not in kept
    assert secrets.digest(session.secret) in kept


# Lockout


def test_failures_lock_the_user_then_the_right_password_is_refused_too_until_the_wait_is_over(
    db: Database,
) -> None:
    make(db, "wang")
    for number in range(6):
        refused = come(db, "wang", "wrong", T + number, f"192.0.2.{number}")
    assert isinstance(refused, Refused)
    assert refused.until_us == T + 5 + 30 * SECOND_US
    assert isinstance(come(db, "wang", PASSWORD, refused.until_us - 1), Refused)
    assert isinstance(come(db, "wang", PASSWORD, refused.until_us), SignedIn)
    reasons = [json.loads(str(e.after))["reason"] for e in log(db, action="sign_in", outcome="refused")]
    assert reasons == ["locked", *["wrong"] * 6]


def test_a_name_that_nobody_has_is_locked_alike_and_not_written_down(db: Database) -> None:
    for number in range(6):
        refused = come(db, "hunter2-my-password", "wrong", T + number, f"192.0.2.{number}")
    assert refused == Refused(T + 5 + 30 * SECOND_US)
    assert {e.subject for e in log(db, action="sign_in")} == {"user:?"}
    with db.read() as connection:
        assert "hunter2" not in str(list(connection.execute(text("SELECT * FROM attempts"))))


@pytest.mark.real_hashes
def test_a_name_that_nobody_has_takes_the_same_work(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash of today's parameters is worked out whoever is named; times themselves are not measured."""
    make(db, "wang")
    with db.write() as connection:
        people.create(connection, CLI, "li", Role.EVALUATOR, T)
    compared: list[str] = []
    verify = passwords._hasher.verify

    def watched(password: str, kept: str) -> bool:
        compared.append(kept)
        return verify(password, kept)

    monkeypatch.setattr(passwords._hasher, "verify", watched)
    for name in ("wang", "li", "nobody"):
        assert come(db, name, "wrong") == Refused(None)
    assert len(compared) == 3
    assert not any(passwords.is_outdated(kept) for kept in compared)


def test_an_address_that_tries_many_names_is_locked(db: Database) -> None:
    make(db, "wang")
    for number in range(21):
        come(db, f"user{number}", "wrong", T + number)
    assert isinstance(come(db, "wang", PASSWORD, T + 30), Refused)
    assert isinstance(come(db, "wang", PASSWORD, T + 30, "198.51.100.1"), SignedIn)


def test_an_ipv6_network_is_one_client_whatever_address_it_takes(db: Database) -> None:
    make(db, "wang")
    for number in range(21):
        come(db, f"user{number}", "wrong", T + number, f"2001:db8:1:2::{number:x}")
    assert isinstance(come(db, "wang", PASSWORD, T + 30, "2001:db8:1:2:ffff::1"), Refused)
    assert isinstance(come(db, "wang", PASSWORD, T + 30, "2001:db8:1:3::1"), SignedIn)


def test_guesses_at_the_same_time_are_worth_no_more_than_in_turn(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make(db, "wang")
    session = signed_in(db, "wang")
    present = entry.of_session(db, session.secret, T, LIFETIME)
    assert present is not None
    matches = passwords.matches

    def others_fail_meanwhile(password: str, kept: str | None) -> bool:
        fits = matches(password, kept)
        with db.write() as connection:
            attempts.put(connection, user_subject("wang"), Attempts(6, T, T + 30 * SECOND_US))
        return fits

    monkeypatch.setattr(passwords, "matches", others_fail_meanwhile)
    assert come(db, "wang") == Refused(T + 30 * SECOND_US)
    (noted,) = log(db, action="sign_in", outcome="refused")
    assert json.loads(str(noted.after)) == {"reason": "locked"}
    with db.write() as connection:
        people.unlock(connection, CLI, user, T)
    actor = entry.of_user(user, "192.0.2.7")
    with pytest.raises(BadInput, match="too many"):
        own.change_password(db, actor, present, PASSWORD, "another long passphrase", T, least=15)
    monkeypatch.undo()
    with db.read() as connection:
        assert passwords.matches(PASSWORD, people.must_be(connection, "wang").password_hash)


def test_somebody_can_be_let_in_again_before_the_wait_is_over(db: Database) -> None:
    user = make(db, "wang")
    for number in range(8):
        come(db, "wang", "wrong", T + number, f"192.0.2.{number}")
    with db.write() as connection:
        people.unlock(connection, CLI, user, T + 9)
    assert isinstance(come(db, "wang", PASSWORD, T + 10, "198.51.100.1"), SignedIn)
    with db.write() as connection:
        come_back = attempts.trim(connection, T + DAY_US)
    assert come_back > 0


# Tokens


def test_a_token_may_what_its_scopes_and_its_owner_may(db: Database) -> None:
    user = make(db, "wang", Role.EVALUATOR, "xinjinglou")
    with db.write() as connection:
        made = keys.create(connection, CLI, user, "年度评价", ["indicators:read"], ["xinjinglou"], 30, T)
        for bad in (["users:write"], ["indicators:read", "x"], []):
            with pytest.raises(BadInput, match="scopes"):
                keys.create(connection, CLI, user, "x", bad, None, 30, T)
        with pytest.raises(BadInput, match="communities"):
            keys.create(connection, CLI, user, "x", ["indicators:read"], ["yiminyuan"], 30, T)
        with pytest.raises(BadInput, match="days"):
            keys.create(connection, CLI, user, "x", ["indicators:read"], None, 0, T)
        with pytest.raises(BadInput, match="label"):
            keys.create(connection, CLI, user, " ", ["indicators:read"], None, 30, T)
    actor = entry.of_token(db, made.secret, T + 1, "192.0.2.7")
    assert actor is not None
    assert actor.permissions == {Permission.INDICATORS_READ}
    assert actor.communities == frozenset({"xinjinglou"})
    assert actor.name == f"token:{made.token.id} wang"
    with db.read() as connection:
        (kept,) = tokens.listing(connection, user.id)
    assert (kept.last_us, kept.last_address) == (T + 1, "192.0.2.7")
    assert made.secret.startswith(kept.hint)


def test_a_token_ends_at_its_expiry_and_when_it_is_revoked(db: Database) -> None:
    user = make(db, "wang")
    with db.write() as connection:
        short = keys.create(connection, CLI, user, "短", ["devices:read"], None, 1, T)
        long = keys.create(connection, CLI, user, "长", ["devices:read"], None, 30, T)
    assert entry.of_token(db, short.secret, T + DAY_US - 1, "") is not None
    assert entry.of_token(db, short.secret, T + DAY_US, "") is None
    with db.write() as connection:
        assert keys.revoke(connection, CLI, long.token, user, T + 1)
        assert not keys.revoke(connection, CLI, long.token, user, T + 2)
    assert entry.of_token(db, long.secret, T + 3, "") is None
    assert len(log(db, action="token.revoke")) == 1


# The audit log


def test_a_change_that_fails_leaves_no_entry_and_an_entry_that_fails_no_change(db: Database) -> None:
    def attempt() -> None:
        with db.write() as connection:
            people.create(connection, CLI, "wang", Role.VIEWER, T)
            raise NotFound("something else went wrong")

    with pytest.raises(NotFound):
        attempt()
    assert log(db) == []
    with db.read() as connection:
        assert users.all_of(connection) == []


def test_entries_say_who_when_from_where_and_what_and_never_a_secret(db: Database) -> None:
    with db.write() as connection:
        audit.append(
            connection,
            CLI,
            "thing.change",
            "device:cam-1",
            T,
            community="xinjinglou",
            before={"name": "a", "password": "p", "nested": {"api_token": "q", "kept": 1}},
            after={"name": "b\0\udc80", "password_hash": None, "ids": frozenset({"b", "a"})},
        )
    (found,) = log(db)
    assert (found.number, found.at_us, found.actor, found.origin) == (1, T, "cli:root", "host")
    assert json.loads(str(found.before)) == {
        "name": "a",
        "nested": {"api_token": "[redacted]", "kept": 1},
        "password": "[redacted]",
    }
    assert json.loads(str(found.after)) == {"ids": ["a", "b"], "name": "b\\x00\\udc80", "password_hash": None}
    assert holds(db) is None


@pytest.mark.parametrize(
    ("tamper", "number"),
    [
        ("UPDATE audit SET actor = 'user:nobody' WHERE number = 3", 3),
        ("UPDATE audit SET at_us = at_us + 1 WHERE number = 5", 5),
        ("UPDATE audit SET after = NULL WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 1", 1),
        ("DELETE FROM audit WHERE number = 4", 4),
        ("DELETE FROM audit WHERE number = 6", 6),
        ("DELETE FROM audit", 1),
        (
            "INSERT INTO audit SELECT 7, at_us, actor, origin, action, outcome, subject, community,"
            " before, after, digest, digest FROM audit WHERE number = 6",
            7,
        ),
        ("UPDATE audit SET number = CASE number WHEN 2 THEN -3 WHEN 3 THEN -2 END WHERE number IN (2, 3)", 1),
    ],
)
def test_whatever_is_done_to_the_rows_the_first_broken_link_is_named(
    db: Database, tamper: str, number: int
) -> None:
    for at_us in range(T, T + 6):
        with db.write() as connection:
            audit.append(connection, CLI, "thing.change", f"thing:{at_us}", at_us, after={"at": at_us})
    assert holds(db) is None
    with pytest.raises(PulseError, match="only appended to"), db.write() as connection:
        # The product itself cannot.
        connection.execute(text(tamper if not tamper.startswith("INSERT") else "DELETE FROM audit"))
    assert holds(db) is None
    with db.write() as connection:
        for trigger in (
            ("audit_no_update", "audit_no_delete")
            if connection.dialect.name == "sqlite"
            else ("audit_append_only ON audit",)
        ):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text(tamper))
        if "-3" in tamper:
            connection.execute(text("UPDATE audit SET number = -number WHERE number < 0"))
            number = 2
    broken = holds(db)
    assert broken is not None
    assert broken.number == number
    with db.write() as connection:
        # Work goes on, and what comes later hides nothing.
        audit.append(connection, CLI, "thing.change", "thing:later", T + 9)
    after = holds(db)
    assert after is not None
    assert after.number == number


def test_entries_of_several_writers_follow_one_another(db: Database) -> None:
    failed: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for number in range(10):
                with db.write() as connection:
                    audit.append(connection, CLI, "thing.change", f"{name}:{number}", T + number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    with db.read() as connection:
        assert [e.number for e in audit.walk(connection)] == list(range(1, 41))
    assert holds(db) is None


def test_entries_are_found_by_who_what_when_and_community(db: Database) -> None:
    user = make(db, "wang", Role.MANAGER, "xinjinglou")
    person = entry.of_user(user, "192.0.2.7")
    with db.write() as connection:
        audit.append(connection, person, "thing.change", "device:a", T + 1, community="xinjinglou")
        audit.append(connection, person, "thing.change", "device:b", T + 2, community="yiminyuan")
        token = person._replace(name="token:7 wang")
        audit.append(connection, token, "export", "devices", T + 3, outcome=audit.REFUSED)

    def subjects(**wanted: object) -> list[str]:
        with db.read() as connection:
            return [e.subject for e in audit.listing(connection, Filter(**wanted))]  # type: ignore[arg-type]

    assert subjects(actor="user:wang") == ["devices", "device:b", "device:a"]
    assert subjects(actor="user:wan") == []
    assert subjects(outcome="refused") == ["devices"]
    assert subjects(from_us=T + 1, to_us=T + 3) == ["device:b", "device:a"]
    assert subjects(communities=frozenset({"xinjinglou"})) == ["device:a"]
    assert subjects(communities=frozenset()) == []
    with db.read() as connection:
        page = audit.listing(connection, Filter(), limit=2)
        rest = audit.listing(connection, Filter(), before_number=page[-1].number)
    assert [e.number for e in page + rest] == [4, 3, 2, 1]

"""Roles, lockout and password rules, as tables of examples and laws."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.access import passwords, secrets
from pulse.access.lockout import FREE, LONGEST_WAIT_US, Attempts, failed, refused_until, user_subject
from pulse.access.roles import NEEDS_ALL, PERMISSIONS, Actor, Permission, Role, anonymous, role_of, scopes_of
from pulse.clock import DAY_US, HOUR_US, SECOND_US
from pulse.errors import BadInput

NOW = 1_700_000_000 * SECOND_US


def _fail(subject: str, times: int, every_us: int = SECOND_US) -> Attempts:
    attempts = Attempts()
    for number in range(times):
        attempts = failed(subject, attempts, NOW + number * every_us)
    return attempts


@pytest.mark.parametrize("subject", ["user:x", "address:192.0.2.7"])
def test_the_first_failures_cost_nothing_then_the_wait_doubles_up_to_an_hour(subject: str) -> None:
    free = FREE[subject.partition(":")[0]]
    assert refused_until(_fail(subject, free), NOW + free * SECOND_US) is None
    waits = []
    for more in range(1, 12):
        attempts = _fail(subject, free + more)
        waits.append(attempts.until_us - attempts.last_us)
    assert waits[:3] == [30 * SECOND_US, 60 * SECOND_US, 120 * SECOND_US]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_US == HOUR_US
    assert refused_until(attempts, attempts.until_us) is None
    assert refused_until(attempts, attempts.until_us - 1) == attempts.until_us


def test_a_day_without_failures_begins_anew() -> None:
    attempts = _fail("user:x", 9)
    assert failed("user:x", attempts, attempts.last_us + DAY_US).failures == 1
    assert failed("user:x", attempts, attempts.last_us + DAY_US - 1).failures == 10


@given(st.text(max_size=40))
def test_a_name_cannot_be_read_from_its_subject(name: str) -> None:
    subject = user_subject(name)
    assert subject.startswith("user:")
    assert len(subject) == 37
    assert not (len(name) > 3 and name in subject)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "社区里的猫喜欢在雨天晒太阳吗不喜欢",
        "xK9#vQ2!mZ7&pL4",
        "          z7 q4 w9 m2",
        "ñandú über façade 🐈 cat",
    ],
)
def test_length_counts_and_not_composition(password: str) -> None:
    passwords.check(password, user="alice")


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("short", "15"),
        ("fourteen chars", "15"),
        ("x" * 257, "256"),
        ("password password", "too easy"),
        ("aaaaaaaaaaaaaaaaaaaa", "too easy"),
        ("qwertyuiopasdfghjkl", "too easy"),
        ("123456789012345678", "too easy"),
        ("zhangwei-zhangwei-1", "too easy"),
        ("communitypulse2020", "too easy"),
        ("社区脉搏社区脉搏社区脉搏社区脉搏", "too easy"),
        ("abcabcabc123123123", "too easy"),
        ("P@$$w0rd12345678", "too easy"),
        ("q1w2e3r4t5y6u7i8", "too easy"),
        ("Summer2024Summer2024", "too easy"),
        ("zhangwei19900101", "too easy"),
        ("Tangshan2024Tangshan", "too easy"),
        ("Hikvision12345678", "too easy"),
        ("woaini13145201314", "too easy"),
        ("!QAZ2wsx#EDC4rfv", "too easy"),
        ("correct horse\x00battery staple", "control"),
    ],
)
def test_what_is_refused_is_told_with_the_way_to_mend_it(password: str, word: str) -> None:
    with pytest.raises(BadInput, match=word) as refused:
        passwords.check(password, user="zhang.wei")
    assert refused.value.where == "password"
    assert password not in str(refused.value)


def test_random_characters_of_the_least_length_pass() -> None:
    for least in (8, 9, 12, 15):
        for number in range(20):
            random = hashlib.sha256(f"{least} {number}".encode()).digest()
            text = base64.b85encode(random).decode()[:least]
            passwords.check(text, user="alice", least=least)


def test_the_same_password_from_another_keyboard_is_the_same() -> None:
    composed, decomposed = "caf\u00e9 correct horse", "cafe\u0301 correct horse"
    assert passwords.matches(decomposed, passwords.hashed(composed))


@pytest.mark.real_hashes
def test_a_hash_is_salted_argon2id_and_nobody_has_no_password() -> None:
    first, second = passwords.hashed("correct horse battery"), passwords.hashed("correct horse battery")
    assert first != second
    assert first.startswith("$argon2id$")
    assert passwords.matches("correct horse battery", first)
    assert not passwords.matches("correct horse batterx", first)
    assert not passwords.matches("\0nobody", None)
    assert not passwords.is_outdated(first)
    assert passwords.is_outdated("$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")


def test_codes_are_read_however_they_are_typed() -> None:
    code = secrets.new_code()
    assert len(code.replace("-", "")) == 25
    assert secrets.code_digest(code) == secrets.code_digest(f" {code.lower().replace('-', ' ')} ")
    assert secrets.code_digest(code) != secrets.code_digest(secrets.new_code())


@given(st.sampled_from(Role), st.frozensets(st.sampled_from(["a", "b"])), st.sampled_from(Permission))
def test_what_is_about_the_whole_installation_needs_all_communities(
    role: Role, communities: frozenset[str], permission: Permission
) -> None:
    limited = Actor("user:x", PERMISSIONS[role], communities, role=role, user_id=1)
    whole = limited._replace(communities=None)
    assert whole.may(permission) == (permission in PERMISSIONS[role])
    assert limited.may(permission) == (whole.may(permission) and permission not in NEEDS_ALL)
    assert not limited.sees("c")
    assert not limited.sees(None)
    assert whole.sees(None)


def test_an_evaluator_changes_nothing_but_its_own_tokens() -> None:
    writing = {p for p in PERMISSIONS[Role.EVALUATOR] if p.endswith(":write")}
    assert writing == {Permission.TOKENS_WRITE}
    assert not {p for p in PERMISSIONS[Role.VIEWER] if p.endswith(":write")}


def test_nobody_may_look_unless_the_installation_says_so() -> None:
    assert not any(anonymous("", may_look=False).may(p) for p in Permission)
    assert not any(anonymous("", may_look=True).may(p) for p in Permission if p.endswith(":write"))


def test_unknown_roles_and_scopes_beyond_the_role_are_refused_by_name() -> None:
    with pytest.raises(BadInput, match="emperor"):
        role_of("emperor")
    with pytest.raises(BadInput, match="users:write"):
        scopes_of(["users:write"], Role.EVALUATOR)
    with pytest.raises(BadInput, match="scope"):
        scopes_of([], Role.EVALUATOR)

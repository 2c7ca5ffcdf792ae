"""Nobody has more than they were given: what an actor may and sees, and tokens within their owners."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.access import entry
from pulse.access.roles import NEEDS_ALL, PERMISSIONS, WITHOUT_COMMUNITIES, Actor, Permission, Role
from pulse.stores.relational.tokens import Token
from pulse.stores.relational.users import User

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMMUNITIES = ("a", "b", "c")

_sets = st.none() | st.frozensets(st.sampled_from(COMMUNITIES))
_scopes = st.frozensets(st.sampled_from([*Permission, "given:up"]))


@st.composite
def _users(draw: st.DrawFn) -> User:
    role = draw(st.sampled_from(Role))
    communities = draw(_sets)
    if role in WITHOUT_COMMUNITIES:
        communities = None if role is Role.ADMIN else frozenset()
    return User(1, "alice", "", role, communities, frozenset(), None, None, 0, None)


def _token(scopes: frozenset[str], communities: frozenset[str] | None) -> Token:
    return Token(7, "pulse_abcd", "a test", 1, scopes, communities, 0, 1, None, None, None)


@given(_users(), _scopes, _sets)
def test_a_token_never_has_more_than_its_owner(
    user: User, scopes: frozenset[str], communities: frozenset[str] | None
) -> None:
    owner = entry.of_user(user, "")
    token = entry.of_token_and_user(_token(scopes, communities), user, "")
    for permission in Permission:
        assert token.may(permission) <= (owner.may(permission) and permission in scopes)
    for community in (*COMMUNITIES, None):
        asked_for = communities is None or community in communities
        assert token.sees(community) == (owner.sees(community) and asked_for)
    assert token.outlets <= owner.outlets


@given(_users(), _scopes)
def test_a_token_without_a_choice_of_communities_has_those_of_its_owner(
    user: User, scopes: frozenset[str]
) -> None:
    token = entry.of_token_and_user(_token(scopes, None), user, "")
    assert token.communities == user.communities


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("communities", [None, frozenset(), frozenset({"a"})], ids=str)
def test_what_concerns_the_whole_installation_needs_all_of_it(
    role: Role, communities: frozenset[str] | None
) -> None:
    actor = Actor("user:x", PERMISSIONS[role], communities, role=role, user_id=1)
    for permission in Permission:
        limited = permission in NEEDS_ALL and communities is not None
        assert actor.may(permission) == (permission in PERMISSIONS[role] and not limited)
    assert actor.sees("a") == (communities is None or "a" in communities)
    assert actor.sees("b") == (communities is None)
    assert actor.sees(None) == (communities is None)


@pytest.mark.parametrize(("name", "yes"), [("api.md", "yes"), ("api.zh-CN.md", "有")])
def test_the_documented_table_of_roles_is_the_one_in_force(name: str, yes: str) -> None:
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")
    ]
    header = next(row for row in rows if row[1:] == list(Role))
    told = {row[0]: row[1:] for row in rows if row[0] in set(Permission)}
    assert header
    assert told == {
        permission: [yes if permission in PERMISSIONS[role] else "" for role in Role]
        for permission in Permission
    }

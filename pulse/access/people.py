"""What is done with accounts: each change and its audit entry are one transaction of an open connection.

Who may do it is decided before, where the request comes in; here only what is possible at all is decided.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from pulse.access import lockout, secrets
from pulse.access.roles import WITHOUT_COMMUNITIES, Actor, Role
from pulse.clock import DAY_US
from pulse.errors import BadInput, Conflict, NotFound
from pulse.stores.relational import attempts, audit, invitations, registry, sessions, tokens, users
from pulse.stores.relational.users import User

INVITED_FOR_US = 3 * DAY_US
SETUP_FOR_US = DAY_US

_NO_CODE = "链接或验证码不正确、已用过或已过期 / the link or code is wrong, used or too old; ask for another"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")


class Change(NamedTuple):
    """What is to be changed of a user; None leaves it. `all_communities` goes before `communities`."""

    display: str | None = None
    role: Role | None = None
    communities: frozenset[str] | None = None
    all_communities: bool = False
    outlets: frozenset[str] | None = None
    disabled: bool | None = None


def create(
    connection: Connection,
    actor: Actor,
    name: str,
    role: Role,
    now_us: int,
    *,
    display: str = "",
    communities: Iterable[str] | None = None,
    outlets: Iterable[str] = (),
    password_hash: str | None = None,
) -> User:
    """Make an account; without a password it waits for its invitation. Raises `BadInput`, `Conflict`."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} 不能作用户名：用 2 至 64 个 a-z 0-9 . _ -，以字母或数字开头 / "
            "cannot be a user name: use 2 to 64 of a-z 0-9 . _ - beginning with a letter or digit",
            where="name",
        )
    chosen = None if communities is None else frozenset(communities)
    user = users.add(
        connection,
        name,
        role,
        now_us,
        display=_display(display),
        communities=_communities(connection, role, chosen),
        outlets=outlets,
        password_hash=password_hash,
    )
    if role is Role.ADMIN:
        # Once there is an administrator nobody sets the installation up any more.
        invitations.withdraw(connection, None, now_us)
    audit.append(connection, actor, "user.create", f"user:{name}", now_us, after=user.said())
    return user


def change(connection: Connection, actor: Actor, user: User, wanted: Change, now_us: int) -> User:
    """Change an account; one that is disabled, or may less than before, is signed out everywhere.

    Raises `Conflict` where no administrator would be left, and `BadInput`.
    """
    role = wanted.role or user.role
    communities = user.communities if wanted.communities is None else wanted.communities
    if wanted.all_communities:
        communities = None
    disabled_us = user.disabled_us
    if wanted.disabled is not None:
        disabled_us = (user.disabled_us or now_us) if wanted.disabled else None
    changed = user._replace(
        display=user.display if wanted.display is None else _display(wanted.display),
        role=role,
        communities=_communities(connection, role, communities),
        outlets=user.outlets if wanted.outlets is None else wanted.outlets,
        disabled_us=disabled_us,
    )
    if changed == user:
        return user
    was_admin = user.role is Role.ADMIN and user.disabled_us is None
    stays_admin = changed.role is Role.ADMIN and changed.disabled_us is None
    if was_admin and not stays_admin and users.active_of_role(connection, Role.ADMIN) == 1:
        raise Conflict(
            "这是最后一个管理员，请先创建另一个 / this is the last administrator; make another one first"
        )
    users.change(connection, changed)
    if (changed.role, changed.communities, changed.outlets, changed.disabled_us) != (
        user.role,
        user.communities,
        user.outlets,
        user.disabled_us,
    ):
        sessions.revoke_all(connection, user.id, now_us)
    if changed.disabled_us is not None:
        tokens.revoke_all(connection, user.id, now_us)
        invitations.withdraw(connection, user.id, now_us)
    audit.append(
        connection,
        actor,
        "user.change",
        f"user:{user.name}",
        now_us,
        before=user.said(),
        after=changed.said(),
    )
    return changed


def set_password(
    connection: Connection,
    actor: Actor,
    user: User,
    password_hash: str,
    now_us: int,
    *,
    keep_session: int | None = None,
) -> User:
    """Give an account another password: its other sessions end, its failed sign-ins are forgotten.

    So does an invitation that is still open: who has its link must not choose yet another one. Raises
    `NotFound` when there is no such user any more.
    """
    # Hashing took its time: what an administrator changed meanwhile stays.
    kept = users.of(connection, user.id)
    if kept is None:
        raise _no_user(user.name)
    changed = kept._replace(password_hash=password_hash, password_us=now_us)
    users.change(connection, changed)
    invitations.withdraw(connection, user.id, now_us)
    ended = sessions.revoke_all(connection, user.id, now_us, but=keep_session)
    attempts.forget(connection, lockout.user_subject(user.name))
    audit.append(
        connection,
        actor,
        "user.password",
        f"user:{user.name}",
        now_us,
        after={"sessions_ended": ended},
    )
    return changed


def unlock(connection: Connection, actor: Actor, user: User, now_us: int) -> None:
    """Let somebody try again who failed too often."""
    attempts.forget(connection, lockout.user_subject(user.name))
    audit.append(connection, actor, "user.unlock", f"user:{user.name}", now_us)


def invite(connection: Connection, actor: Actor, user: User, now_us: int) -> str:
    """A one-time code with which the user chooses a password within three days."""
    if user.disabled_us is not None:
        raise Conflict(f"用户 {user.name} 已停用 / the user {user.name} is disabled")
    code = secrets.new_code()
    invitations.add(connection, secrets.code_digest(code), user.id, now_us, now_us + INVITED_FOR_US)
    audit.append(connection, actor, "user.invite", f"user:{user.name}", now_us)
    return code


def begin_setup(connection: Connection, actor: Actor, now_us: int) -> str | None:
    """A one-time code with which the first administrator is made within a day; None when there is one."""
    if users.active_of_role(connection, Role.ADMIN):
        return None
    code = secrets.new_code()
    invitations.add(connection, secrets.code_digest(code), None, now_us, now_us + SETUP_FOR_US)
    audit.append(connection, actor, "setup.begin", "installation", now_us)
    return code


def accept(
    connection: Connection, code: str, name: str, password_hash: str, now_us: int, origin: str
) -> User:
    """Use a one-time code: choose the password of an invited user, or make the first administrator.

    `name` counts for the administrator only. Raises `NotFound` for a code that is wrong, used or too old.
    """
    found = invitations.open_with(connection, secrets.code_digest(code), now_us)
    if found is None or not invitations.use(connection, found.id, now_us):
        raise NotFound(_NO_CODE)
    if found.user_id is None:
        actor = Actor(f"user:{name}", frozenset(), None, origin=origin)
        return create(connection, actor, name, Role.ADMIN, now_us, password_hash=password_hash)
    user = users.of(connection, found.user_id)
    if user is None or user.disabled_us is not None:
        raise NotFound("此用户已停用 / this user is disabled")
    actor = Actor(f"user:{user.name}", frozenset(), None, user_id=user.id, origin=origin)
    return set_password(connection, actor, user, password_hash, now_us)


def whom(connection: Connection, code: str, now_us: int) -> User | None:
    """The user who is invited by a code; None for the first administrator. Raises `NotFound` as `accept`."""
    found = invitations.open_with(connection, secrets.code_digest(code), now_us)
    if found is None:
        raise NotFound(_NO_CODE)
    return None if found.user_id is None else users.of(connection, found.user_id)


def must_be(connection: Connection, name: str) -> User:
    """The user of that name. Raises `NotFound`."""
    user = users.named(connection, name)
    if user is None:
        raise _no_user(name)
    return user


def _no_user(name: str) -> NotFound:
    return NotFound(f"没有用户 {name} / there is no user {name}")


def _communities(connection: Connection, role: Role, chosen: frozenset[str] | None) -> frozenset[str] | None:
    """The communities of an account. Raises `BadInput` for one that nobody registered."""
    if role in WITHOUT_COMMUNITIES:
        return None if role is Role.ADMIN else frozenset()
    if chosen is None:
        return None
    known = {community.id for community in registry.communities(connection)}
    for community in sorted(chosen - known):
        raise BadInput(
            f"没有小区 {community!r}，已登记的 / no community has this id; registered are "
            f"{', '.join(sorted(known)) or '-'}",
            where="communities",
        )
    return chosen


def _display(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > 100 or not text.isprintable():
        raise BadInput("最多 100 个可见字符 / use at most 100 visible characters", where="display")
    return text

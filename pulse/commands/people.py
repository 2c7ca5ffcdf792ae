"""`pulse user …` and `pulse token …`: accounts and API tokens, by whoever runs the installation."""

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import typer

from pulse.access import keys, passwords, people
from pulse.access.people import Change
from pulse.access.roles import WITHOUT_COMMUNITIES, Role, role_of
from pulse.clock import SystemClock, to_iso
from pulse.commands.operating import database, operator
from pulse.errors import BadInput, NotFound
from pulse.settings import Settings
from pulse.stores.relational import tokens, users
from pulse.stores.relational.tokens import Token
from pulse.stores.relational.users import User


class Wanted(NamedTuple):
    """What was asked for of an account on the command line."""

    role: str | None
    communities: Sequence[str]
    all_communities: bool
    outlets: Sequence[str]
    display: str | None


def create(settings: Settings, name: str, wanted: Wanted, *, password_stdin: bool) -> None:
    """Make an account with the password that is given, or with an invitation to choose one."""
    role = role_of(wanted.role or "", where="--role")
    communities = _communities(wanted)
    if communities is None and not wanted.all_communities and role not in WITHOUT_COMMUNITIES:
        raise BadInput(
            f"角色 {role} 需要 --community 或 --all-communities / the role {role} needs the communities "
            "that it is for: --community (several times) or --all-communities",
            where="--community",
        )
    password = _asked_password(settings, name, from_stdin=password_stdin, may_be_empty=True)
    hashed = None if password is None else passwords.hashed(password)
    with database(settings) as db, db.write() as connection:
        actor, now_us = operator(), SystemClock().now_us()
        user = people.create(
            connection,
            actor,
            name,
            role,
            now_us,
            display=wanted.display or "",
            communities=communities,
            outlets=wanted.outlets,
            password_hash=hashed,
        )
        code = None if hashed is not None else people.invite(connection, actor, user, now_us)
    typer.echo(f"已创建 / created: {_line(user)}", err=True)
    if code is not None:
        _tell_invitation(settings, user, code)


def change(settings: Settings, name: str, wanted: Wanted, *, disabled: bool | None = None) -> None:
    """Change an account; its sessions end where it may less, or other things, than before."""
    chosen = Change(
        display=wanted.display,
        role=None if wanted.role is None else role_of(wanted.role, where="--role"),
        communities=_communities(wanted),
        all_communities=wanted.all_communities,
        outlets=frozenset(wanted.outlets) if wanted.outlets else None,
        disabled=disabled,
    )
    if chosen == Change():
        raise BadInput("没有给出要更改的内容 / nothing to change was given; see --help")
    with database(settings) as db, db.write() as connection:
        user = people.must_be(connection, name)
        changed = people.change(connection, operator(), user, chosen, SystemClock().now_us())
    typer.echo(_line(changed), err=True)


def disable(settings: Settings, name: str, *, disabled: bool) -> None:
    """Take an account out of use, with its sessions and tokens; or back into use."""
    change(settings, name, Wanted(None, (), False, (), None), disabled=disabled)


def listed(settings: Settings) -> Iterator[str]:
    """A line for each account."""
    with database(settings) as db, db.read() as connection:
        for user in users.all_of(connection):
            yield _line(user)


def set_password(settings: Settings, name: str, *, from_stdin: bool) -> None:
    """Give an account another password; its sessions end."""
    with database(settings) as db:
        with db.read() as connection:
            people.must_be(connection, name)
        password = _asked_password(settings, name, from_stdin=from_stdin, may_be_empty=False)
        assert password is not None  # noqa: S101 - asked for until there is one, or refused
        hashed = passwords.hashed(password)
        with db.write() as connection:
            user = people.must_be(connection, name)
            people.set_password(connection, operator(), user, hashed, SystemClock().now_us())
    typer.echo(f"{name}：密码已更换 / the password was changed", err=True)


def unlock(settings: Settings, name: str) -> None:
    """Let somebody sign in again at once who failed too often."""
    with database(settings) as db, db.write() as connection:
        people.unlock(connection, operator(), people.must_be(connection, name), SystemClock().now_us())
    typer.echo(f"{name}：已解锁 / unlocked", err=True)


def invite(settings: Settings, name: str) -> None:
    """Print a one-time link with which somebody chooses a password."""
    with database(settings) as db, db.write() as connection:
        user = people.must_be(connection, name)
        code = people.invite(connection, operator(), user, SystemClock().now_us())
    _tell_invitation(settings, user, code)


def create_token(
    settings: Settings,
    owner: str,
    label: str,
    scopes: Sequence[str],
    communities: Sequence[str],
    days: int,
) -> None:
    """Make a token and print it: the only time that it is told."""
    with database(settings) as db, db.write() as connection:
        made = keys.create(
            connection,
            operator(),
            people.must_be(connection, owner),
            label,
            scopes,
            communities or None,
            days,
            SystemClock().now_us(),
        )
        # Told before it is kept, so that none is kept that nobody was told.
        typer.echo(made.secret)
    typer.echo(
        f"令牌 {made.token.id}，有效至 {to_iso(made.token.expires_us)}；只显示这一次 / "
        f"token {made.token.id}, valid until {to_iso(made.token.expires_us)}; shown this once only",
        err=True,
    )


def listed_tokens(settings: Settings, owner: str | None) -> Iterator[str]:
    """A line for each token, of one user or of all."""
    with database(settings) as db, db.read() as connection:
        of = None if owner is None else people.must_be(connection, owner).id
        names = {user.id: user.name for user in users.all_of(connection)}
        now_us = SystemClock().now_us()
        for token in tokens.listing(connection, of):
            yield _token_line(token, names[token.user_id], now_us)


def revoke_token(settings: Settings, number: int) -> None:
    """Make a token invalid."""
    with database(settings) as db, db.write() as connection:
        token = tokens.of(connection, number)
        owner = None if token is None else users.of(connection, token.user_id)
        if token is None or owner is None:
            raise NotFound(f"没有令牌 {number} / there is no token {number}; see `pulse token list`")
        done = keys.revoke(connection, operator(), token, owner, SystemClock().now_us())
    typer.echo(
        f"{number}：已撤销 / revoked" if done else f"{number}：早已撤销 / had been revoked before", err=True
    )


def _communities(wanted: Wanted) -> frozenset[str] | None:
    if wanted.communities and wanted.all_communities:
        raise BadInput(
            "不能与 --community 同时给出 / cannot be given together with --community",
            where="--all-communities",
        )
    return frozenset(wanted.communities) if wanted.communities else None


def _asked_password(settings: Settings, name: str, *, from_stdin: bool, may_be_empty: bool) -> str | None:
    """The password from standard input or a terminal, checked; None where none was given and may be."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        empty = "（留空则发邀请 / empty: invite）" if may_be_empty else ""
        password = typer.prompt(
            f"密码 / Password{empty}",
            hide_input=True,
            default="" if may_be_empty else None,
            show_default=False,
        )
        if not password:
            return None
        if typer.prompt("再输一次 / Again", hide_input=True) != password:
            raise BadInput("两次输入不同 / the two passwords differ")
    elif may_be_empty:
        return None
    else:
        raise BadInput(
            "没有终端，请用 --password-stdin / there is no terminal to ask on; use --password-stdin"
        )
    passwords.check(password, user=name, least=settings.password_min_length, where="password")
    return password


def _tell_invitation(settings: Settings, user: User, code: str) -> None:
    """The link on standard output; its code stands behind `#`, which browsers send to nobody."""
    typer.echo(
        f"{user.name} 在三天内打开此链接选定密码，只能用一次 / "
        "opens this link within three days to choose a password; it works once:",
        err=True,
    )
    typer.echo(f"{settings.page_address()}/welcome#{code}")


def _line(user: User) -> str:
    if user.role is Role.DEPARTMENT:
        where = "outlets: " + (", ".join(sorted(user.outlets)) or "-")
    elif user.communities is None:
        where = "全部小区/all communities"
    else:
        where = ", ".join(sorted(user.communities)) or "-"
    state = "停用/disabled" if user.disabled_us else "" if user.password_hash else "未设密码/no password yet"
    return "  ".join(filter(None, (user.name, str(user.role), where, state, user.display)))


def _token_line(token: Token, owner: str, now_us: int) -> str:
    ended = "已撤销/revoked" if token.revoked_us else "已过期/expired" if token.expires_us <= now_us else ""
    communities = "*" if token.communities is None else ",".join(sorted(token.communities))
    return "  ".join(
        filter(
            None,
            (
                str(token.id),
                f"{token.hint}…",
                owner,
                ",".join(sorted(token.scopes)),
                communities,
                f"→ {to_iso(token.expires_us)}",
                "未用过/never used" if token.last_us is None else f"用于/used {to_iso(token.last_us)}",
                ended,
                token.label,
            ),
        )
    )

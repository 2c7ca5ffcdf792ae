"""API tokens: made by their owner, shown once, revoked by the owner or an administrator."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from pulse.access import secrets
from pulse.access.roles import Actor, scopes_of
from pulse.clock import DAY_US, to_iso
from pulse.errors import BadInput
from pulse.stores.relational import audit, registry, tokens
from pulse.stores.relational.tokens import Token
from pulse.stores.relational.users import User

MOST_DAYS = 400
"""A token of an evaluation of a year, and a month to replace it."""


class NewToken(NamedTuple):
    """A token that was made; `secret` is told now and never again."""

    secret: str
    token: Token


def create(
    connection: Connection,
    actor: Actor,
    owner: User,
    label: str,
    scopes: Iterable[str],
    communities: Iterable[str] | None,
    days: int,
    now_us: int,
) -> NewToken:
    """Make a token of `owner` that is valid for `days`. Raises `BadInput` naming what cannot be.

    One that is made with a token ends no later than that: else whoever has it would renew it for ever.
    """
    label = " ".join(label.split())
    if not label or len(label) > 100 or not label.isprintable():
        raise BadInput(
            "用途说明为 1 至 100 个字符 / say in 1 to 100 characters what it is for", where="label"
        )
    if not 1 <= days <= MOST_DAYS:
        raise BadInput(f"有效期为 1 至 {MOST_DAYS} 天 / valid for 1 to {MOST_DAYS} days", where="days")
    if actor.until_us is not None and now_us + days * DAY_US > actor.until_us:
        raise BadInput(
            f"不能比所用的令牌更久，它至 {to_iso(actor.until_us)} 有效 / "
            f"not longer than the token that it is made with, which is valid until {to_iso(actor.until_us)}",
            where="days",
        )
    chosen = scopes_of(scopes, owner.role)
    secret = secrets.new_token()
    token = tokens.add(
        connection,
        secrets.digest(secret),
        secret[: secrets.HINT_CHARACTERS],
        label,
        owner.id,
        chosen,
        _communities(connection, owner, communities),
        now_us,
        now_us + days * DAY_US,
    )
    audit.append(connection, actor, "token.create", f"token:{token.id}", now_us, after=_said(token, owner))
    return NewToken(secret, token)


def revoke(connection: Connection, actor: Actor, token: Token, owner: User, now_us: int) -> bool:
    """Make a token invalid; False when it was."""
    if not tokens.revoke(connection, token.id, now_us):
        return False
    audit.append(connection, actor, "token.revoke", f"token:{token.id}", now_us, before=_said(token, owner))
    return True


def _said(token: Token, owner: User) -> dict[str, object]:
    return {**token.said(), "owner": owner.name}


def _communities(
    connection: Connection, owner: User, communities: Iterable[str] | None
) -> frozenset[str] | None:
    if communities is None:
        return None
    chosen = frozenset(communities)
    own = owner.communities
    if own is None:
        own = frozenset(community.id for community in registry.communities(connection))
    for community in sorted(chosen - own):
        raise BadInput(
            f"{community!r} 不在此用户的小区之内 / is none of theirs: {', '.join(sorted(own)) or '-'}",
            where="communities",
        )
    return chosen

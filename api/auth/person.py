"""What endpoints ask beside a permission: to be signed in, and not to reach beyond oneself."""

from typing import Annotated

from fastapi import Depends, Request

from api import problem_kinds as kinds
from api.auth.guard import check_form, forbidden
from api.auth.identity import Known, identity
from api.problems import Problem
from pulse.access.entry import Present
from pulse.access.roles import PERMISSIONS, Actor, Role


def _signed_in(request: Request) -> Present:
    known: Known = identity(request).of(request)
    if known.present is None:
        raise Problem(kinds.SIGN_IN_REQUIRED, headers={"WWW-Authenticate": "Bearer"})
    check_form(request, known)
    return known.present


SignedIn = Annotated[Present, Depends(_signed_in)]
"""The session of a person; API tokens have none."""


def check_reach(request: Request, actor: Actor, subject: str, *roles: Role) -> None:
    """Refuse what would give an actor, by way of another account, more than it has.

    An administrator has everything; a token of theirs with `users:write` alone may make no administrator,
    nor invite one and so become one.
    """
    if any(not PERMISSIONS[role] <= actor.permissions for role in roles):
        raise forbidden(request, actor, subject)

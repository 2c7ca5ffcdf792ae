"""API tokens: told once, revoked at once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import params
from api import people_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed, forbidden
from api.context import Context
from api.listing import iso
from api.people_models import EndedAnswer, NewToken, NewTokenAnswer, TokensAnswer
from api.problem_kinds import (
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from api.problems import Problem
from pulse.access import keys
from pulse.access.roles import Actor, Permission
from pulse.clock import to_iso
from pulse.errors import NotFound
from pulse.stores.relational import tokens, users
from pulse.stores.relational.tokens import Token

_May = Annotated[Actor, Depends(Allowed(Permission.TOKENS_WRITE))]
_Number = Annotated[
    int, Path(ge=1, le=(1 << 63) - 1, description="令牌编号 / number of the token", examples=[17])
]
_PROBLEMS = (SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/api/v1", tags=["令牌 / tokens"], dependencies=[Depends(params.only_known)])
    db, clock = context.db, context.clock

    @routes.get(
        "/tokens",
        summary="访问令牌 / API tokens",
        response_model=TokensAnswer,
        responses=answers(examples.TOKENS, *_PROBLEMS, description="最近的在前 / the newest first"),
    )
    def listing(
        request: Request,
        actor: _May,
        everybody: Annotated[
            bool, Query(alias="all", description="所有人的，限管理员 / everybody's, for administrators")
        ] = False,
    ) -> Response:
        """自己的令牌，不含其内容 / one's own tokens, never what they are."""
        if everybody and not actor.may(Permission.USERS_WRITE):
            raise forbidden(request, actor, "tokens")
        with db.read() as connection:
            names = {user.id: user.name for user in users.all_of(connection)}
            found = tokens.listing(connection, None if everybody else actor.user_id)
        return json({"tokens": [_shown(token, names[token.user_id]) for token in found]})

    @routes.post(
        "/tokens",
        summary="新建令牌 / make a token",
        response_model=NewTokenAnswer,
        responses=answers(
            examples.NEW_TOKEN, *_PROBLEMS, description="令牌，只显示这一次 / the token, this once only"
        ),
    )
    def create(request: Request, actor: _May, body: NewToken) -> Response:
        """为自己新建令牌，权限不超过自己 / make one for oneself, with no more than one has.

        令牌自己要新建令牌，须有 users:write / a token that makes tokens needs users:write beside.
        """
        beyond = set(body.scopes) & set(Permission) - actor.permissions
        wider = actor.communities is not None and not set(body.communities or ()) <= actor.communities
        by_token = actor.name.startswith("token:")
        if beyond or wider or (by_token and not actor.may(Permission.USERS_WRITE)):
            raise forbidden(request, actor, "token")
        reach = body.communities
        if reach is None and actor.communities is not None:
            reach = sorted(actor.communities)
        with db.write() as connection:
            owner = None if actor.user_id is None else users.of(connection, actor.user_id)
            if owner is None:
                raise Problem(SIGN_IN_REQUIRED)
            made = keys.create(
                connection, actor, owner, body.label, body.scopes, reach, body.days, clock.now_us()
            )
        return json({**_shown(made.token, owner.name), "token": made.secret})

    @routes.delete(
        "/tokens/{number}",
        summary="撤销令牌 / revoke a token",
        response_model=EndedAnswer,
        responses=answers(examples.ENDED, NOT_FOUND, *_PROBLEMS, description="撤销与否 / whether it was"),
    )
    def revoke(actor: _May, number: _Number) -> Response:
        """立即失效；管理员可撤销任何令牌 / invalid at once; administrators revoke anybody's."""
        with db.write() as connection:
            token = tokens.of(connection, number)
            owner = None if token is None else users.of(connection, token.user_id)
            hidden = token is None or not (
                token.user_id == actor.user_id or actor.may(Permission.USERS_WRITE)
            )
            if hidden or token is None or owner is None:
                raise NotFound(f"没有令牌 {number} / there is no token {number}")
            return json({"ended": keys.revoke(connection, actor, token, owner, clock.now_us())})

    return routes


def _shown(token: Token, owner: str) -> dict[str, object]:
    return {
        "number": token.id,
        "hint": token.hint,
        "label": token.label,
        "owner": owner,
        "scopes": sorted(token.scopes),
        "communities": None if token.communities is None else sorted(token.communities),
        "created_at": to_iso(token.created_us),
        "expires_at": to_iso(token.expires_us),
        "last_used_at": iso(token.last_us),
        "last_address": token.last_address,
        "revoked_at": iso(token.revoked_us),
    }

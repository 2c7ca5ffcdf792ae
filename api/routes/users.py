"""Accounts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from api import params
from api import people_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed, Open
from api.auth.identity import identity
from api.auth.person import check_reach
from api.context import Context
from api.people_models import (
    InvitedAnswer,
    MeAnswer,
    NewUser,
    UserAnswer,
    UserChange,
    UsersAnswer,
)
from api.problem_kinds import (
    BAD_TOKEN,
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from pulse.access import people
from pulse.access.roles import Actor, Permission, role_of
from pulse.clock import to_iso
from pulse.stores.relational import users
from pulse.stores.relational.users import User

_Admin = Annotated[Actor, Depends(Allowed(Permission.USERS_WRITE))]
_Name = Annotated[str, Path(max_length=64, description="用户名 / user name", examples=["alice"])]
_PROBLEMS = (SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/api/v1", tags=["账户 / accounts"], dependencies=[Depends(params.only_known)])
    db, clock = context.db, context.clock

    @routes.get(
        "/me",
        summary="请求者是谁 / who asks",
        response_model=MeAnswer,
        dependencies=[Depends(Open("it tells only what the asker brought along"))],
        responses=answers(
            examples.ME, BAD_TOKEN, INVALID_PARAMETERS, UNAVAILABLE, description="身份与权限 / who and what"
        ),
    )
    def me(request: Request) -> Response:
        """此令牌或会话代表谁、可以做什么 / whom this token or session speaks for, and what it may."""
        actor = identity(request).of(request).actor
        return json(
            {
                "actor": actor.name,
                "role": actor.role,
                "permissions": sorted(p for p in actor.permissions if actor.may(p)),
                "communities": None if actor.communities is None else sorted(actor.communities),
                "outlets": sorted(actor.outlets),
            }
        )

    @routes.get(
        "/users",
        summary="账户 / accounts",
        response_model=UsersAnswer,
        responses=answers(examples.USERS, *_PROBLEMS, description="按用户名 / by name"),
    )
    def listing(_actor: _Admin) -> Response:
        """全部账户 / every account."""
        with db.read() as connection:
            return json({"users": [_shown(user) for user in users.all_of(connection)]})

    @routes.post(
        "/users",
        summary="创建账户 / make an account",
        response_model=InvitedAnswer,
        responses=answers(
            examples.INVITED, CONFLICT, *_PROBLEMS, description="账户与一次性邀请 / with its invitation"
        ),
    )
    def create(request: Request, actor: _Admin, body: NewUser) -> Response:
        """创建账户；用户凭一次性邀请选定密码 / its user chooses a password with the one-time invitation."""
        role = role_of(body.role)
        check_reach(request, actor, f"user:{body.name}", role)
        with db.write() as connection:
            now_us = clock.now_us()
            user = people.create(
                connection,
                actor,
                body.name,
                role,
                now_us,
                display=body.display,
                communities=body.communities,
                outlets=body.outlets,
            )
            code = people.invite(connection, actor, user, now_us)
        return json({**_shown(user), "invitation": code})

    @routes.get(
        "/users/{name}",
        summary="一个账户 / one account",
        response_model=UserAnswer,
        responses=answers(examples.USER, NOT_FOUND, *_PROBLEMS, description="账户 / the account"),
    )
    def one(_actor: _Admin, name: _Name) -> Response:
        """一个账户 / one account."""
        with db.read() as connection:
            return json(_shown(people.must_be(connection, name)))

    @routes.patch(
        "/users/{name}",
        summary="更改账户 / change an account",
        response_model=UserAnswer,
        responses=answers(
            examples.USER, NOT_FOUND, CONFLICT, *_PROBLEMS, description="更改后的账户 / as it is now"
        ),
    )
    def change(request: Request, actor: _Admin, name: _Name, body: UserChange) -> Response:
        """权限有变则其会话结束；停用则令牌也失效 / sessions end where rights change; disabled, tokens too."""
        wanted = people.Change(
            display=body.display,
            role=None if body.role is None else role_of(body.role),
            communities=None if body.communities is None else frozenset(body.communities),
            all_communities=body.all_communities,
            outlets=None if body.outlets is None else frozenset(body.outlets),
            disabled=body.disabled,
        )
        with db.read() as connection:
            before = people.must_be(connection, name)
        check_reach(request, actor, f"user:{name}", before.role, wanted.role or before.role)
        with db.write() as connection:
            user = people.must_be(connection, name)
            return json(_shown(people.change(connection, actor, user, wanted, clock.now_us())))

    @routes.post(
        "/users/{name}/invitation",
        summary="邀请选定密码 / invite to choose a password",
        response_model=InvitedAnswer,
        responses=answers(
            examples.INVITED, NOT_FOUND, CONFLICT, *_PROBLEMS, description="一次性邀请 / the invitation"
        ),
    )
    def invite(request: Request, actor: _Admin, name: _Name) -> Response:
        """三天内有效、只能用一次 / works once, within three days."""
        with db.read() as connection:
            before = people.must_be(connection, name)
        check_reach(request, actor, f"user:{name}", before.role)
        with db.write() as connection:
            user = people.must_be(connection, name)
            code = people.invite(connection, actor, user, clock.now_us())
        return json({**_shown(user), "invitation": code})

    @routes.post(
        "/users/{name}/unlock",
        summary="解除登录等待 / unlock",
        response_model=UserAnswer,
        responses=answers(examples.USER, NOT_FOUND, *_PROBLEMS, description="账户 / the account"),
    )
    def unlock(actor: _Admin, name: _Name) -> Response:
        """多次失败后立即可再登录 / somebody who failed too often may sign in at once."""
        with db.write() as connection:
            user = people.must_be(connection, name)
            people.unlock(connection, actor, user, clock.now_us())
        return json(_shown(user))

    return routes


def _shown(user: User) -> dict[str, object]:
    return {
        **user.said(),
        "has_password": user.password_hash is not None,
        "created_at": to_iso(user.created_us),
    }

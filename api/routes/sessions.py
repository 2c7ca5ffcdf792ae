"""Sessions of people: one's own, and anybody's for administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from api import params
from api import people_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed, Open
from api.auth.identity import identity
from api.auth.person import SignedIn
from api.context import Context
from api.people_models import EndedAnswer, SessionsAnswer
from api.problem_kinds import (
    BAD_TOKEN,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from pulse.access import entry, own, people
from pulse.access.roles import Actor, Permission
from pulse.clock import to_iso
from pulse.errors import NotFound
from pulse.stores.relational import audit, sessions
from pulse.stores.relational.sessions import Session
from pulse.stores.relational.users import User

_Admin = Annotated[Actor, Depends(Allowed(Permission.USERS_WRITE))]
_Name = Annotated[str, Path(max_length=64, description="用户名 / user name", examples=["alice"])]
_Number = Annotated[
    int, Path(ge=1, le=(1 << 63) - 1, description="会话编号 / number of the session", examples=[3])
]
_PROBLEMS = (SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/api/v1", tags=["账户 / accounts"], dependencies=[Depends(params.only_known)])
    db, clock = context.db, context.clock

    @routes.get(
        "/users/{name}/sessions",
        summary="某用户的会话 / a user's sessions",
        response_model=SessionsAnswer,
        responses=answers(examples.SESSIONS, NOT_FOUND, *_PROBLEMS, description="会话 / sessions"),
    )
    def of_user(request: Request, _actor: _Admin, name: _Name) -> Response:
        """未结束的登录 / sign-ins that have not ended."""
        with db.read() as connection:
            user = people.must_be(connection, name)
        return _sessions(request, user)

    @routes.delete(
        "/users/{name}/sessions/{number}",
        summary="结束某用户的会话 / end a user's session",
        response_model=EndedAnswer,
        responses=answers(examples.ENDED, NOT_FOUND, *_PROBLEMS, description="结束与否 / whether it ended"),
    )
    def end_of_user(actor: _Admin, name: _Name, number: _Number) -> Response:
        """立即失效 / it ends at once."""
        with db.write() as connection:
            user = people.must_be(connection, name)
            found = sessions.of(connection, number)
            if found is None or found.user_id != user.id:
                raise NotFound(f"没有会话 {number} / there is no session {number}")
            ended = sessions.revoke(connection, number, clock.now_us())
            if ended:
                said = {"session": number}
                audit.append(connection, actor, "session.end", f"user:{name}", clock.now_us(), after=said)
        return json({"ended": ended})

    mine = [Depends(Open("everybody who is signed in sees and ends their own sessions; `SignedIn` asks"))]

    @routes.get(
        "/sessions",
        summary="自己的会话 / one's own sessions",
        response_model=SessionsAnswer,
        dependencies=mine,
        responses=answers(
            examples.SESSIONS, BAD_TOKEN, INVALID_PARAMETERS, UNAVAILABLE, description="会话 / sessions"
        ),
    )
    def own_sessions(request: Request, present: SignedIn) -> Response:
        """未结束的登录，仅限网页会话 / sign-ins that have not ended; for sessions, not tokens."""
        return _sessions(request, present.user)

    @routes.delete(
        "/sessions/{number}",
        summary="结束自己的会话 / end one's own session",
        response_model=EndedAnswer,
        dependencies=mine,
        responses=answers(
            examples.ENDED,
            BAD_TOKEN,
            FORBIDDEN,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="结束与否 / whether it ended",
        ),
    )
    def end_own(request: Request, _present: SignedIn, number: _Number) -> Response:
        """立即失效 / it ends at once."""
        actor = identity(request).of(request).actor
        if not own.end_session(db, actor, number, clock.now_us()):
            raise NotFound(f"没有会话 {number} / there is no session {number}")
        return json({"ended": True})

    def _sessions(request: Request, user: User) -> Response:
        lifetime, now_us = identity(request).lifetime, clock.now_us()
        with db.read() as connection:
            found = sessions.of_user(connection, user.id)
        return json({"sessions": [_session(s, lifetime) for s in found if now_us < _ends_us(s, lifetime)]})

    return routes


def _ends_us(session: Session, lifetime: entry.Lifetime) -> int:
    return min(session.expires_us, session.last_us + lifetime.idle_us)


def _session(session: Session, lifetime: entry.Lifetime) -> dict[str, object]:
    return {
        "number": session.id,
        "created_at": to_iso(session.created_us),
        "last_used_at": to_iso(session.last_us),
        "expires_at": to_iso(_ends_us(session, lifetime)),
        "address": session.address,
        "agent": session.agent,
    }

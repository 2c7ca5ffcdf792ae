"""What was agreed with devices: interval, timeout, lateness, clock trust; read and set."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import Connection

from api import params
from api.answers import answers, json
from api.auth.guard import Allowed, note_refusal
from api.auth.unseen import note_unseen
from api.context import Context
from api.policies_models import PoliciesAnswer, PolicyAnswer, PolicyChange, Scope
from api.problem_kinds import FORBIDDEN, INVALID_PARAMETERS, NOT_FOUND, SIGN_IN_REQUIRED, UNAVAILABLE
from pulse.access import policies as agreeing
from pulse.access.policies import as_members
from pulse.access.roles import Actor, Permission
from pulse.clock import parse_time
from pulse.stores.relational import policies as versions

_MOST = 10_000
_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]
_MaySet = Annotated[Actor, Depends(Allowed(Permission.POLICIES_WRITE))]
_Scope = Annotated[Scope, Path(description="范围 / scope", examples=["kind"])]
_Subject = Annotated[
    str,
    Path(
        max_length=64,
        description="设备、小区或类别编号；默认为 all / an id of that scope; `all` of the default",
        examples=["camera"],
    ),
]

VERSION: dict[str, Any] = {
    "scope": "kind",
    "subject": "camera",
    "from": "2026-11-23T08:00:00Z",
    "recorded_at": "2026-11-23T08:00:00Z",
    "interval_s": 60.0,
    "timeout_s": 180.0,
    "max_lateness_s": None,
    "clock_untrusted": None,
}
ONE: dict[str, Any] = {
    "scope": "kind",
    "subject": "camera",
    "holds": {
        "interval_s": {"value": 60.0, "said_by": "kind"},
        "timeout_s": {"value": 180.0, "said_by": "kind"},
        "max_lateness_s": {"value": None, "said_by": ""},
        "clock_untrusted": {"value": None, "said_by": ""},
    },
    "history": [VERSION],
}


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/policies", tags=["约定 / policies"], dependencies=[Depends(params.only_known)]
    )
    db, clock = context.db, context.clock

    @routes.get(
        "",
        summary="现行约定 / policies in force",
        response_model=PoliciesAnswer,
        responses=answers(
            {"policies": [VERSION], "more": False},
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="范围大的在前 / the widest scopes first",
        ),
    )
    def listing(
        actor: _Reader,
        scope: Annotated[Scope | None, Query(description="只列此范围的 / of this scope only")] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST, description="最多条数 / most entries")] = 1000,
    ) -> Response:
        """有自己约定的默认、类别、小区与设备；窄的优先于宽的，未列出的没有自己的约定。

        The default, kinds, communities and devices that say something themselves; the narrower goes before
        the wider, and who is not listed says nothing.
        """
        with db.read() as connection:
            found = agreeing.listing(connection, actor, clock.now_us(), scope)
        return json(
            {"policies": [as_members(version) for version in found[:limit]], "more": len(found) > limit}
        )

    @routes.get(
        "/{scope}/{subject}",
        summary="一项约定及其历史 / a policy and its history",
        response_model=PolicyAnswer,
        responses=answers(
            ONE, NOT_FOUND, INVALID_PARAMETERS, UNAVAILABLE, description="此刻与历次 / now, and every version"
        ),
    )
    def one(request: Request, actor: _Reader, scope: _Scope, subject: _Subject) -> Response:
        """此刻的约定、由谁决定，以及历次约定。

        What holds now, whose word it is, and every version that was ever declared.
        """
        _note_stranger(request, actor, scope, subject)
        with db.read() as connection:
            return json(_shown(connection, actor, scope, subject))

    @routes.patch(
        "/{scope}/{subject}",
        summary="设置约定 / set a policy",
        response_model=PolicyAnswer,
        responses=answers(
            ONE,
            NOT_FOUND,
            SIGN_IN_REQUIRED,
            FORBIDDEN,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="设置后的约定 / as it is now",
        ),
    )
    def change(
        request: Request, actor: _MaySet, scope: _Scope, subject: _Subject, body: PolicyChange
    ) -> Response:
        """从现在或更晚起生效，过去的判定不变；运行中的采集器一秒内取用。

        In force from now or later on; what was judged stays. A running collector takes it within a second.
        """
        _note_stranger(request, actor, scope, subject)
        given = body.model_fields_set - {"from_", "reason"}
        said = {name: getattr(body, name) for name in sorted(given)}
        since_us = None if body.from_ is None else parse_time(body.from_, "from")
        with db.write() as connection:
            agreeing.declare(
                connection,
                actor,
                scope,
                subject,
                said,
                clock.now_us(),
                since_us=since_us,
                reason=body.reason,
            )
            return json(_shown(connection, actor, scope, subject))

    def _shown(connection: Connection, actor: Actor, scope: str, subject: str) -> dict[str, Any]:
        found = agreeing.history(connection, actor, scope, subject)
        default_s = context.settings.default_timeout_s
        words = agreeing.holding(connection, actor, scope, subject, clock.now_us(), default_s)
        return {
            "scope": scope,
            "subject": subject,
            "holds": {name: word._asdict() for name, word in words.items()},
            "history": [as_members(version) for version in found],
        }

    def _note_stranger(request: Request, actor: Actor, scope: str, subject: str) -> None:
        if scope == versions.DEVICE:
            note_unseen(request, actor, subject)
        elif scope == versions.COMMUNITY and not actor.sees(subject):
            note_refusal(request, actor, f"policy:{scope}:{subject}", subject)

    return routes

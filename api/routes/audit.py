"""The audit log: read in pages, as CSV, and its chain checked."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api import csvfile, params
from api import people_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed, forbidden
from api.context import Context
from api.params import From, To
from api.people_models import AuditAnswer, VerifiedAnswer
from api.problem_kinds import FORBIDDEN, INVALID_PARAMETERS, SIGN_IN_REQUIRED, UNAVAILABLE
from api.problems import Checks
from pulse.access.roles import Actor, Permission
from pulse.access.showing import plain
from pulse.access.verifying import verify
from pulse.chain import shown
from pulse.stores.relational import audit
from pulse.stores.relational.audit import Filter
from pulse.stores.relational.values import canonical, storable

MOST = 10_000
"""Entries of one CSV; a longer time is asked for in parts, or with `pulse audit export`."""
_CSV = ("number", "at", "actor", "origin", "action", "outcome", "subject", "community", "before", "after")
_May = Annotated[Actor, Depends(Allowed(Permission.AUDIT_READ))]
_PROBLEMS = (SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def _text(description: str, example: str) -> object:
    return Query(max_length=params.MAX_VALUE, description=description, examples=[example])


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/audit", tags=["审计 / audit"], dependencies=[Depends(params.only_known)]
    )
    db, clock = context.db, context.clock

    @routes.get(
        "",
        summary="审计日志 / audit log",
        response_model=AuditAnswer,
        responses=answers(
            examples.AUDIT,
            *_PROBLEMS,
            description="最近的在前 / the newest first",
            **{"text/csv": ",".join(_CSV)},
        ),
    )
    def listing(
        actor: _May,
        who: Annotated[str | None, _text("谁，含其令牌 / who, their tokens included", "user:alice")] = None,
        action: Annotated[str | None, _text("做了什么 / what was done", "user.create")] = None,
        subject: Annotated[str | None, _text("对谁 / to what", "user:bob")] = None,
        outcome: Annotated[
            Literal["done", "refused", "failed"] | None, Query(description="结果 / how it ended")
        ] = None,
        from_: From = None,
        to: To = None,
        cursor: Annotated[
            str | None, Query(pattern="^[0-9]{1,18}$", description="上一页的 next / `next` of the last page")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST, description="最多条数 / most entries")] = 100,
        format_: Annotated[
            Literal["json", "csv"], Query(alias="format", description="导出 CSV 会记入日志 / csv is logged")
        ] = "json",
    ) -> Response:
        """谁在何时何地做了什么；只限自己的小区 / who did what, when and from where, of one's communities."""
        checks = Checks()
        now_us = clock.now_us()
        wanted = Filter(
            None if who is None else storable(who),
            None if action is None else storable(action),
            None if subject is None else storable(subject),
            outcome,
            params.time_of(checks, "from", from_, now_us),
            params.time_of(checks, "to", to, now_us),
            actor.communities,
        )
        checks.settle()
        before = None if cursor is None else int(cursor)
        if format_ == "csv":
            said = {**wanted._replace(communities=None)._asdict(), "limit": limit}
            with db.write() as connection:
                audit.append(connection, actor, "audit.export", "audit", now_us, after=said)
        with db.read() as connection:
            found = audit.listing(connection, wanted, before_number=before, limit=limit)
        entries = [plain(entry) for entry in found]
        if format_ == "json":
            more = str(found[-1].number) if len(found) == limit else None
            return json({"entries": entries, "next": more})
        for entry in entries:
            for side in ("before", "after"):
                entry[side] = None if entry[side] is None else canonical(entry[side])
        return Response(
            csvfile.render(_CSV, entries),
            headers={
                "Cache-Control": "no-store",
                "Content-Disposition": 'attachment; filename="audit.csv"',
            },
            media_type="text/csv",
        )

    @routes.get(
        "/verification",
        summary="核对散列链 / check the chain",
        response_model=VerifiedAnswer,
        responses=answers(examples.VERIFIED, *_PROBLEMS, description="核对结果 / what was found"),
    )
    def verification(request: Request, actor: _May) -> Response:
        """从头核对全部日志，限管理员 / reads the whole log, for administrators."""
        if actor.communities is not None:
            raise forbidden(request, actor, "audit")
        with db.read() as connection:
            found = verify(connection)
        return json(
            {
                "entries": found.links,
                "head": shown(found.head),
                "broken_at": None if found.broken is None else found.broken.number,
                "reason": None if found.broken is None else found.broken.reason,
            }
        )

    return routes

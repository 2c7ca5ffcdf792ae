"""Maintenance: what is recorded, what that would change, and what a second person decides."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api import maintenance_examples as examples
from api import params
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.coverage_models import ReasonBody
from api.maintenance_models import (
    MaintenanceAnswer,
    MaintenanceListAnswer,
    NewPlanBody,
    OneMaintenanceAnswer,
    PlanBody,
    PreviewAnswer,
)
from api.params import Community
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from api.problems import Checks
from pulse.access import maintenance as recording
from pulse.access.roles import Actor, Permission
from pulse.access.showing_maintenance import plan_of, shown
from pulse.errors import Conflict, NotFound
from pulse.indicators import effect as effects
from pulse.indicators.previewing import Preview, effect_of, previewed
from pulse.stores.relational import maintenance
from pulse.stores.relational.decisions import PENDING, STATUSES

_MOST = 1000
_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]
_MayRecord = Annotated[Actor, Depends(Allowed(Permission.MAINTENANCE_WRITE))]
_Id = Annotated[
    int, Path(alias="id", ge=1, le=2**62, description="记录编号 / number of the entry", examples=[7])
]
_RECORDING = (CONFLICT, SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)
_DECIDING = (NOT_FOUND, *_RECORDING)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/maintenance", tags=["维护 / maintenance"], dependencies=[Depends(params.only_known)]
    )
    db, clock, library = context.db, context.clock, context.rate.library
    zone, backdate_us = context.settings.timezone, context.settings.maintenance_backdate_us()

    def looked_at(actor: Actor, body: PlanBody) -> Preview:
        return previewed(db, library, actor, plan_of(body.wish(), zone), clock.now_us(), backdate_us)

    @routes.get(
        "",
        summary="维护记录 / maintenance",
        response_model=MaintenanceListAnswer,
        responses=answers(
            examples.LIST, INVALID_PARAMETERS, UNAVAILABLE, description="最近记录的在前 / recorded last first"
        ),
    )
    def listing(
        actor: _Reader,
        community: Community = None,
        status: Annotated[
            str | None,
            Query(max_length=20, description=f"只列此状态的 / in this state only: {', '.join(STATUSES)}"),
        ] = None,
        cursor: Annotated[
            str | None, Query(pattern="^[0-9]{1,18}$", description="上一页的 next / `next` of the last page")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST, description="最多条数 / most entries")] = 100,
    ) -> Response:
        """记录、取消、驳回过的维护，一条不删；不限小区的人人可见。

        What was ever recorded of maintenance, cancelled and refused too; what is about no community in
        particular is for everybody.
        """
        checks = Checks()
        params.one_of(checks, "status", status, STATUSES)
        before = None if cursor is None else int(cursor)
        with db.read() as connection:
            params.scope(checks, connection, community, None, actor.communities)
            checks.settle()
            within = actor.communities if community is None else frozenset({community})
            found = maintenance.listing(connection, within, status=status, before_id=before, limit=limit)
        now_us = clock.now_us()
        more = str(found[-1].id) if len(found) == limit else None
        return json({"maintenance": [shown(entry, now_us) for entry in found], "next": more})

    @routes.get(
        "/{id}",
        summary="一条记录 / an entry",
        response_model=OneMaintenanceAnswer,
        responses=answers(
            examples.ONE,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="待批准的连同其影响 / one that waits with its effect",
        ),
    )
    def one(actor: _Reader, id_: _Id) -> Response:
        """一条维护记录；待批准时附上它会改变什么 / an entry, and what it would change while it waits."""
        try:
            with db.read() as connection:
                entry = recording.seen(connection, actor, id_)
        except NotFound:
            _now_noting(context, actor, id_)
            raise
        waits = entry.status == PENDING
        effect = effects.shown(effect_of(db, library, actor, entry)) if waits else None
        return json({"entry": shown(entry, clock.now_us()), "effect": effect})

    @routes.post(
        "/preview",
        summary="预览影响 / preview",
        response_model=PreviewAnswer,
        responses=answers(examples.PREVIEW, *_RECORDING, description="尚未保存 / nothing is saved"),
    )
    def preview(actor: _MayRecord, body: PlanBody) -> Response:
        """这条记录会怎样改变各项指标；什么都不保存 / what it would change of every indicator, unsaved."""
        found = looked_at(actor, body)
        return json(
            {
                "needs_approval": found.entry.status == PENDING,
                "fingerprint": found.fingerprint,
                "effect": effects.shown(found.effect),
            }
        )

    @routes.post(
        "",
        summary="记录维护 / record",
        response_model=MaintenanceAnswer,
        responses=answers(
            examples.ENTRY, *_RECORDING, description="已记录，或待另一人批准 / recorded, or waits for another"
        ),
    )
    def create(actor: _MayRecord, body: NewPlanBody) -> Response:
        """开始不久或尚未开始的，记录即生效；更早开始的须先预览，再由另一人批准，此前什么都不变。

        What began not long ago, or is yet to begin, counts at once; what began earlier has to be previewed,
        and changes nothing until another person approves.
        """
        found = looked_at(actor, body)
        if found.entry.status == PENDING and body.preview != found.fingerprint:
            raise Conflict(
                "开始已久，须先看影响：请先 POST …/preview，再把其 fingerprint 作为 preview 一并发来 / "
                "began long ago: POST …/preview first, and send its `fingerprint` along as `preview`"
            )
        now_us = clock.now_us()
        kept = effects.kept(found.effect)
        with db.write() as connection:
            entry = recording.record(connection, actor, found.entry.plan, now_us, backdate_us, effect=kept)
        return json(shown(entry, now_us))

    _decisions(routes, context)
    return routes


def _decisions(routes: APIRouter, context: Context) -> None:
    """What is decided of an entry."""
    db = context.db

    @routes.post(
        "/{id}/approve",
        summary="批准 / approve",
        response_model=MaintenanceAnswer,
        responses=answers(examples.APPROVED, *_DECIDING, description="从此刻起生效 / counts from now on"),
    )
    def approve(actor: _MayRecord, id_: _Id) -> Response:
        """由记录者以外的人批准；此前的所知与已公布的值不变。

        By somebody else than who recorded it; what was known and published before stays.
        """
        now_us = _now_noting(context, actor, id_)
        with db.write() as connection:
            return json(shown(recording.approve(connection, actor, id_, now_us), now_us))

    @routes.post(
        "/{id}/refuse",
        summary="驳回 / refuse",
        response_model=MaintenanceAnswer,
        responses=answers(examples.REFUSED, *_DECIDING, description="不会生效 / never counts"),
    )
    def refuse(actor: _MayRecord, id_: _Id, body: ReasonBody) -> Response:
        """驳回待批准的记录 / say that what waits shall not count."""
        now_us = _now_noting(context, actor, id_)
        with db.write() as connection:
            return json(shown(recording.refuse(connection, actor, id_, body.reason, now_us), now_us))

    @routes.post(
        "/{id}/cancel",
        summary="取消 / cancel",
        response_model=MaintenanceAnswer,
        responses=answers(
            examples.CANCELLED, *_DECIDING, description="从此刻起整条不计 / withdrawn whole, from now on"
        ),
    )
    def cancel(actor: _MayRecord, id_: _Id, body: ReasonBody) -> Response:
        """整条撤回，从此刻起所知；任何记录都可取消，都不删除。

        Withdraws it whole, as known from now on; any entry can be cancelled, none is deleted.
        """
        now_us = _now_noting(context, actor, id_)
        with db.write() as connection:
            return json(shown(recording.cancel(connection, actor, id_, body.reason, now_us), now_us))


def _now_noting(context: Context, actor: Actor, entry: int) -> int:
    """What time it is, once it is noted if somebody reaches for another community's entry."""
    now_us = context.clock.now_us()
    with context.db.write() as connection:
        recording.note_stranger(connection, actor, entry, now_us)
    return now_us

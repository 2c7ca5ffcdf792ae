"""The lives of devices: steps that people record and approve, moves, and what happened to a device."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import detail, params
from api import lives_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed
from api.auth.unseen import note_unseen
from api.context import Context
from api.coverage_models import ReasonBody
from api.lives_models import (
    LifeAnswer,
    MoveBody,
    MovedAnswer,
    NewStepBody,
    OneStepAnswer,
    StepAnswer,
    StepBody,
    StepPreviewAnswer,
    StepsAnswer,
)
from api.params import Community, DeviceId
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
    UNKNOWN_DEVICE,
)
from api.problems import Checks, Problem
from pulse.access import lives as recording
from pulse.access.roles import Actor, Permission
from pulse.access.showing_lives import life, shown
from pulse.errors import Conflict, NotFound
from pulse.indicators import effect as effects
from pulse.indicators.previewing import StepPreview, previewed_step
from pulse.stores.relational import lives
from pulse.stores.relational.decisions import PENDING, STATUSES

_MOST = 1000
_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]
_MayRecord = Annotated[Actor, Depends(Allowed(Permission.REGISTRY_WRITE))]
_Id = Annotated[int, Path(alias="id", ge=1, le=2**62, description="编号 / its number", examples=[4])]
_RECORDING = (CONFLICT, SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)
_DECIDING = (NOT_FOUND, *_RECORDING)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/api/v1", tags=["设备 / devices"], dependencies=[Depends(params.only_known)])
    _reading(routes, context)
    _recording(routes, context)
    _deciding(routes, context)
    return routes


def _reading(routes: APIRouter, context: Context) -> None:
    db = context.db

    @routes.get(
        "/devices/{id}/life",
        summary="一台设备的一生 / the life of a device",
        response_model=LifeAnswer,
        responses=answers(
            examples.LIFE,
            UNKNOWN_DEVICE,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="发生的事与其位置的历史 / what happened, and its place's history",
        ),
    )
    def of_device(request: Request, actor: _Reader, id_: DeviceId) -> Response:
        """发现、登记、启用、移动、停用，各带时间与登记人；以及同一位置先后的设备。

        Discovered, registered, commissioned, moved, retired, each with its time and who said so; and the
        devices that stood in its place one after the other.
        """
        checks = Checks()
        params.device_id(checks, id_)
        checks.settle()
        with db.read() as connection:
            record = detail.registered(connection, id_, actor.communities)
            found = None if record is None else life(connection, id_, actor.communities)
        if found is None:
            note_unseen(request, actor, id_)
            raise Problem(UNKNOWN_DEVICE, members={"device": id_})
        return json(found)

    @routes.get(
        "/life-changes",
        summary="设备的启用、停用与更换 / steps in the lives of devices",
        response_model=StepsAnswer,
        responses=answers(
            examples.STEPS,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="最近记录的在前 / recorded last first",
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
        """人所记录的步骤，含待批准、已驳回与已取消的 / what people recorded, whatever became of it."""
        checks = Checks()
        params.one_of(checks, "status", status, STATUSES)
        before = None if cursor is None else int(cursor)
        with db.read() as connection:
            params.scope(checks, connection, community, None, actor.communities)
            checks.settle()
            within = actor.communities if community is None else frozenset({community})
            found = lives.listing(connection, within, status=status, before_id=before, limit=limit)
        more = str(found[-1].id) if len(found) == limit else None
        return json({"steps": [shown(entry) for entry in found], "next": more})

    @routes.get(
        "/life-changes/{id}",
        summary="一步 / a step",
        response_model=OneStepAnswer,
        responses=answers(
            examples.ONE,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="待批准的连同其影响 / one that waits with its effect",
        ),
    )
    def one(actor: _Reader, id_: _Id) -> Response:
        """一步；待批准时附上它会改变什么 / a step, and what it would change while it waits."""
        try:
            with db.read() as connection:
                entry = recording.seen(connection, actor, id_)
        except NotFound:
            _now_noting(context, actor, id_)
            raise
        effect = None
        if entry.status == PENDING:
            effect = effects.shown(effects.of_step(context.rate.library, entry.step, actor.communities))
        return json({"step": shown(entry), "effect": effect})


def _recording(routes: APIRouter, context: Context) -> None:
    db, clock, library = context.db, context.clock, context.rate.library
    backdate_us = context.settings.maintenance_backdate_us()

    def looked_at(actor: Actor, body: StepBody) -> StepPreview:
        return previewed_step(db, library, actor, body.step(), clock.now_us(), backdate_us)

    @routes.post(
        "/life-changes/preview",
        summary="预览影响 / preview",
        response_model=StepPreviewAnswer,
        responses=answers(examples.PREVIEW, *_RECORDING, description="尚未保存 / nothing is saved"),
    )
    def preview(actor: _MayRecord, body: StepBody) -> Response:
        """这一步会怎样改变各项指标；什么都不保存 / what it would change of every indicator, unsaved."""
        found = looked_at(actor, body)
        return json(
            {
                "needs_approval": found.entry.status == PENDING,
                "fingerprint": found.fingerprint,
                "effect": effects.shown(found.effect),
            }
        )

    @routes.post(
        "/life-changes",
        summary="启用、停用或更换 / commission, retire or replace",
        response_model=StepAnswer,
        responses=answers(
            examples.STEP, *_RECORDING, description="已记录，或待另一人批准 / recorded, or waits for another"
        ),
    )
    def create(actor: _MayRecord, body: NewStepBody) -> Response:
        """时间不早的立即生效；更早的须先预览，再由另一人批准，此前什么都不变。

        What is not long past counts at once; what is has to be previewed, and changes nothing until another
        person approves. A new device of a replacement is registered in the place of the old one.
        """
        found = looked_at(actor, body)
        if found.entry.status == PENDING and body.preview != found.fingerprint:
            raise Conflict(
                "时间已久，须先看影响：请先 POST …/preview，再把其 fingerprint 作为 preview 一并发来 / "
                "is long past: POST …/preview first, and send its `fingerprint` along as `preview`"
            )
        kept = effects.kept(found.effect)
        with db.write() as connection:
            entry = recording.record(
                connection, actor, found.entry.step, clock.now_us(), backdate_us, effect=kept
            )
        return json(shown(entry))

    @routes.post(
        "/devices/{id}/move",
        summary="移动设备 / move a device",
        response_model=MovedAnswer,
        responses=answers(examples.MOVED, *_DECIDING, description="从此刻起 / from now on"),
    )
    def move(request: Request, actor: _MayRecord, id_: DeviceId, body: MoveBody) -> Response:
        """设备从此刻起在另一位置；此前的所知不变 / it stands elsewhere from now on; the past stays."""
        checks = Checks()
        params.device_id(checks, id_)
        checks.settle()
        try:
            with db.write() as connection:
                now = recording.move(
                    connection,
                    actor,
                    id_,
                    clock.now_us(),
                    body.reason,
                    community=body.community,
                    building=body.building,
                    location=body.location,
                )
        except NotFound:
            note_unseen(request, actor, id_)
            raise
        return json(
            {
                "device": now.id,
                "community": now.community,
                "building": now.building,
                "location": now.location,
            }
        )


def _deciding(routes: APIRouter, context: Context) -> None:
    db = context.db

    @routes.post(
        "/life-changes/{id}/approve",
        summary="批准 / approve",
        response_model=StepAnswer,
        responses=answers(examples.APPROVED, *_DECIDING, description="从此刻起生效 / counts from now on"),
    )
    def approve(actor: _MayRecord, id_: _Id) -> Response:
        """由记录者以外的人批准；此前的所知与已公布的值不变。

        By somebody else than who recorded it; what was known and published before stays.
        """
        now_us = _now_noting(context, actor, id_)
        with db.write() as connection:
            return json(shown(recording.approve(connection, actor, id_, now_us)))

    @routes.post(
        "/life-changes/{id}/refuse",
        summary="驳回 / refuse",
        response_model=StepAnswer,
        responses=answers(examples.REFUSED, *_DECIDING, description="不会生效 / never counts"),
    )
    def refuse(actor: _MayRecord, id_: _Id, body: ReasonBody) -> Response:
        """驳回待批准的一步 / say that what waits shall not count."""
        now_us = _now_noting(context, actor, id_)
        with db.write() as connection:
            return json(shown(recording.refuse(connection, actor, id_, body.reason, now_us)))

    @routes.post(
        "/life-changes/{id}/cancel",
        summary="取消 / cancel",
        response_model=StepAnswer,
        responses=answers(examples.CANCELLED, *_DECIDING, description="不会生效 / never counts"),
    )
    def cancel(actor: _MayRecord, id_: _Id, body: ReasonBody) -> Response:
        """撤回待批准的一步 / withdraw what waits for approval."""
        now_us = _now_noting(context, actor, id_)
        with db.write() as connection:
            return json(shown(recording.cancel(connection, actor, id_, body.reason, now_us)))


def _now_noting(context: Context, actor: Actor, entry: int) -> int:
    """What time it is, once it is noted if somebody reaches for another community's step."""
    now_us = context.clock.now_us()
    with context.db.write() as connection:
        recording.note_stranger(connection, actor, entry, now_us)
    return now_us

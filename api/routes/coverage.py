"""When the collector could hear, and what people decide of communities that fell silent at once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api import coverage_examples as examples
from api import params
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.coverage_models import CoverageAnswer, IncidentAnswer, IncidentsAnswer, ReasonBody
from api.listing import iso
from api.params import Community, From, To
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from api.problems import Checks
from pulse.access import incidents as deciding
from pulse.access.roles import Actor, Permission
from pulse.access.showing_coverage import interval, shown
from pulse.stores.relational import coverage, incidents
from pulse.stores.relational.incidents import STATUSES

_MOST = 1000
_Reader = Annotated[Actor, Depends(Allowed(Permission.COLLECTOR_READ))]
_MayDecide = Annotated[Actor, Depends(Allowed(Permission.COVERAGE_WRITE))]
_Id = Annotated[
    int, Path(alias="id", ge=1, le=2**62, description="事件编号 / number of the incident", examples=[3])
]
_DECIDING = (NOT_FOUND, CONFLICT, SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/api/v1", tags=["采集 / collector"], dependencies=[Depends(params.only_known)])
    db, clock = context.db, context.clock

    @routes.get(
        "/coverage",
        summary="听不到的时段 / blind intervals",
        response_model=CoverageAnswer,
        responses=answers(
            examples.COVERAGE,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="最近记录的在前 / what was recorded last first",
        ),
    )
    def listing(
        actor: _Reader,
        from_: From = None,
        to: To = None,
        known_at: Annotated[
            str | None,
            Query(
                max_length=params.MAX_VALUE,
                description="只列当时所知的，默认列出全部，含已撤销的 / only what was known then; by default "
                f"everything that was ever recorded, revoked too. {params.TIME_FORM}",
                examples=["2026-11-23T08:00:00Z"],
            ),
        ] = None,
        cursor: Annotated[
            str | None, Query(pattern="^[0-9]{1,18}$", description="上一页的 next / `next` of the last page")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST, description="最多条数 / most entries")] = 100,
    ) -> Response:
        """采集器听不到设备的时段及其范围、原因、记录与撤销时间；其间的沉默是未知，不是离线。

        When the collector could not hear, with scope, cause, and when that was recorded and revoked; silence
        meanwhile is unknown, not offline. Entries of one community are for those who see it.
        """
        checks = Checks()
        now_us = clock.now_us()
        wanted = coverage.Filter(
            params.time_of(checks, "from", from_, now_us),
            params.time_of(checks, "to", to, now_us),
            params.time_of(checks, "known_at", known_at, now_us),
            actor.communities,
        )
        if wanted.from_us is not None and wanted.to_us is not None and wanted.from_us >= wanted.to_us:
            checks.refuse("from", "not_before_to", from_)
        checks.settle()
        before = None if cursor is None else int(cursor)
        with db.read() as connection:
            started_us = coverage.start_us(connection)
            found = coverage.listing(connection, wanted, before_id=before, limit=limit)
        more = str(found[-1][0]) if len(found) == limit else None
        return json(
            {"started_at": iso(started_us), "blind": [interval(*entry) for entry in found], "next": more}
        )

    @routes.get(
        "/incidents",
        summary="集中失联 / correlated silences",
        response_model=IncidentsAnswer,
        responses=answers(
            examples.INCIDENTS, INVALID_PARAMETERS, UNAVAILABLE, description="最近的在前 / the newest first"
        ),
    )
    def listed(
        actor: _Reader,
        community: Community = None,
        status: Annotated[
            str | None,
            Query(max_length=20, description=f"只列此状态的 / in this state only: {', '.join(STATUSES)}"),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST, description="最多条数 / most entries")] = 100,
    ) -> Response:
        """一个小区过半设备同时失联的事件：疑似网络或采集问题，由人确认，另一人批准。

        Silences of more than half of a community at once: the network or the collector is suspected; one
        person confirms it, another approves.
        """
        checks = Checks()
        params.one_of(checks, "status", status, STATUSES)
        with db.read() as connection:
            params.scope(checks, connection, community, None, actor.communities)
            checks.settle()
            within = actor.communities if community is None else frozenset({community})
            found = incidents.listing(connection, within, limit=_MOST)
        chosen = [entry for entry in found if status is None or entry.status == status]
        return json({"incidents": [shown(entry) for entry in chosen[:limit]]})

    @routes.post(
        "/incidents/{id}/confirm",
        summary="确认为失联 / confirm as blindness",
        response_model=IncidentAnswer,
        responses=answers(examples.INCIDENT, *_DECIDING, description="等待另一人批准 / waits for another"),
    )
    def confirm(actor: _MayDecide, id_: _Id, body: ReasonBody) -> Response:
        """说明是网络或采集问题而非设备故障；批准之前什么都不变。

        Says that the network or the collector failed, not the devices; nothing changes until another person
        approves.
        """
        _note_stranger(actor, id_)
        with db.write() as connection:
            return json(shown(deciding.confirm(connection, actor, id_, body.reason, clock.now_us())))

    @routes.post(
        "/incidents/{id}/approve",
        summary="批准 / approve",
        response_model=IncidentAnswer,
        responses=answers(
            examples.INCIDENT | {"status": "approved", "blind_id": 12},
            *_DECIDING,
            description="已记录 / it is recorded",
        ),
    )
    def approve(actor: _MayDecide, id_: _Id) -> Response:
        """由确认者以外的人批准：从此刻起，该小区自 start 起的沉默视为未知。

        By somebody else than who confirmed it: known from now on, silence of the community since `start` is
        unknown.
        """
        _note_stranger(actor, id_)
        with db.write() as connection:
            return json(shown(deciding.approve(connection, actor, id_, clock.now_us())))

    @routes.post(
        "/incidents/{id}/dismiss",
        summary="排除 / dismiss",
        response_model=IncidentAnswer,
        responses=answers(
            examples.INCIDENT | {"status": "dismissed"}, *_DECIDING, description="已排除 / it is dismissed"
        ),
    )
    def dismiss(actor: _MayDecide, id_: _Id, body: ReasonBody) -> Response:
        """设备确已失联；已批准的从此刻起撤销。

        The devices were silent indeed; what was approved is withdrawn, as known from now on.
        """
        _note_stranger(actor, id_)
        with db.write() as connection:
            return json(shown(deciding.dismiss(connection, actor, id_, body.reason, clock.now_us())))

    def _note_stranger(actor: Actor, incident: int) -> None:
        with db.write() as connection:
            deciding.note_stranger(connection, actor, incident, clock.now_us())

    return routes

"""Why what was published of a period differs from what is known of it now."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api import params
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.explain_examples import EXPLANATION
from api.explain_models import ExplanationAnswer
from api.params import Community, From, KnownAt, To
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE
from api.problems import Checks
from pulse.access.roles import Actor, Permission
from pulse.clock import DAY_US
from pulse.indicators.explain import Asked, Explaining

_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]
_MOST = 10_000


def router(context: Context) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(
        prefix="/api/v1/indicators", tags=["指标 / indicators"], dependencies=[Depends(params.only_known)]
    )
    explaining = Explaining(context.db, context.rate.library, context.clock)

    @routes.get(
        "/online-rate/explanation",
        summary="公布值与现在所知之差 / published against known",
        response_model=ExplanationAnswer,
        responses=answers(
            EXPLANATION,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="差额、各原因与各设备的部分 / the difference, and the part of each reason and device",
        ),
    )
    def explanation(
        actor: _Reader,
        from_: From = None,
        to: To = None,
        known_at: KnownAt = None,
        community: Community = None,
        limit: Annotated[
            int, Query(ge=0, le=_MOST, description="最多列出的设备 / most devices to list")
        ] = 100,
    ) -> Response:
        """时段内（默认最近 24 小时）公布的在线率，与按现在所知重算之差，逐台设备、逐个原因，其和等于差额。

        The rate as it was published in the period (the last 24 hours by default) against what is known of the
        same moments now: device by device and reason by reason, which add up to the difference.
        """
        checks = Checks()
        now_us = context.clock.now_us()
        if from_ is None and to is None:
            known_us = params.time_of(checks, "known_at", known_at, now_us)
            end_us = known_us or context.rate.as_of().at_us
            period: params.Period | None = params.Period(end_us - DAY_US, end_us, known_us)
        else:
            period = params.period(checks, from_, to, known_at, now_us)
        with context.db.read() as connection:
            params.scope(checks, connection, community, None, actor.communities)
            checks.settle()
        assert period is not None  # noqa: S101 - absent only with a fault
        found = explaining.explain(Asked(*period, community), actor.communities)
        return json(explaining.answer(found, limit))

    return routes

"""The data-sharing ratio: now, at a past instant, and as it was published."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api import params, series, sharing_examples
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.params import At, Community, From, KnownAt, To
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE
from api.problems import Checks
from api.sharing_models import SharingAnswer, SharingHistoryAnswer
from pulse.access.roles import Actor, Permission
from pulse.clock import DAY_US, SECOND_US
from pulse.indicators.sharing_present import NAME
from pulse.stores.relational import published

_DEFAULT_STEP_S = 60
_Reader = Annotated[Actor, Depends(Allowed(Permission.INDICATORS_READ))]


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/indicators/data-sharing-ratio",
        tags=["指标 / indicators"],
        dependencies=[Depends(Allowed(Permission.INDICATORS_READ)), Depends(params.only_known)],
    )

    @routes.get(
        "",
        summary="数据贡献比例 / data-sharing ratio",
        response_model=SharingAnswer,
        responses=answers(
            sharing_examples.RATIO,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="比例、分子、分母与每种数据的状态 / with numerator, denominator and every kind",
        ),
    )
    def ratio(actor: _Reader, at: At = None, known_at: KnownAt = None) -> Response:
        """现在或过去某一时刻（`at`）的数据贡献比例；`known_at` 按当时所知作答。

        The ratio now or at a past instant (`at`); `known_at` answers by what was known then. A kind is shared
        by a department's receipt that is fresh, of records measured in the same time.
        """
        checks = Checks()
        moment = params.moment(checks, at, known_at, context.clock.now_us())
        checks.settle()
        return json(context.sharing.instant(moment.at_us, moment.known_us, actor.communities))

    @routes.get(
        "/history",
        summary="公布值序列 / published values",
        response_model=SharingHistoryAnswer,
        responses=answers(
            sharing_examples.HISTORY,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="按时间排列的公布值 / published values in order of time",
        ),
    )
    def history(
        actor: _Reader,
        from_: From = None,
        to: To = None,
        step_s: Annotated[
            int,
            Query(
                ge=0,
                le=31_536_000,
                description="点距（秒），60 的倍数；0 取每个值 / seconds between points, of 60; 0: every one",
            ),
        ] = _DEFAULT_STEP_S,
        community: Community = None,
    ) -> Response:
        """每整分钟及每次变化公布、此后不再更改的数值；默认最近 24 小时。

        What was published at every whole minute and change, and has not been changed since; the last 24
        hours by default. Of every `step_s`, counted from 1970, the first value is given; with 0 every value.
        """
        checks = Checks()
        now_us = context.clock.now_us()
        if from_ is None and to is None:
            period: params.Period | None = params.Period(now_us - DAY_US, now_us, None)
        else:
            period = params.period(checks, from_, to, None, now_us)
        if step_s % 60:
            checks.refuse("step_s", "not_of_step", str(step_s))
        if period is not None:
            series.check_size(checks, period, step_s)
        with context.db.read() as connection:
            params.scope(checks, connection, community, None, actor.communities)
            checks.settle()
            assert period is not None  # noqa: S101 - absent only with a fault
            values = published.series(
                connection, NAME, period.from_us, period.to_us, step_us=step_s * SECOND_US or None
            )
        points = series.sharing_points(values, community=community, within=actor.communities)
        return json({"points": points})

    return routes

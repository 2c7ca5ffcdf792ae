"""The device online rate: now, at a past instant, over a period, and as it was published."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api import examples, params, series
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.models import HistoryAnswer, OnlineRateAnswer
from api.params import At, Community, From, Kind, KnownAt, To
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE
from api.problems import Checks
from pulse.access.roles import Actor, Permission
from pulse.clock import DAY_US, SECOND_US
from pulse.indicators.online_rate import NAME
from pulse.stores.relational import published

_DEFAULT_STEP_S = 60

_Reader = Annotated[Actor, Depends(Allowed(Permission.INDICATORS_READ))]


def router(context: Context) -> APIRouter:
    """The endpoints of the indicators."""
    routes = APIRouter(
        prefix="/api/v1/indicators",
        tags=["指标 / indicators"],
        dependencies=[Depends(Allowed(Permission.INDICATORS_READ)), Depends(params.only_known)],
    )

    @routes.get(
        "/online-rate",
        summary="设备在线率 / device online rate",
        response_model=OnlineRateAnswer,
        responses=answers(
            examples.ONLINE_RATE,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="在线率、分子、分母与各状态 / the rate with numerator, denominator and every state",
        ),
    )
    def online_rate(
        actor: _Reader, at: At = None, from_: From = None, to: To = None, known_at: KnownAt = None
    ) -> Response:
        """现在、过去某一时刻（`at`）或时段（`from`、`to`）的在线率；`known_at` 按当时所知作答。

        The rate now, at a past instant (`at`) or over a period (`from`, `to`; amounts are then
        device-seconds); `known_at` answers by what was known then.
        """
        checks = Checks()
        now_us = context.clock.now_us()
        if from_ is None and to is None:
            moment = params.moment(checks, at, known_at, now_us)
            checks.settle()
            return json(context.rate.instant(moment.at_us, moment.known_us, actor.communities))
        if at is not None:
            checks.refuse("at", "excludes", at, partner="from / to")
        period = params.period(checks, from_, to, known_at, now_us)
        checks.settle()
        assert period is not None  # noqa: S101 - absent only with a fault
        return json(context.rate.period(*period, actor.communities))

    @routes.get(
        "/online-rate/history",
        summary="公布值序列 / published values",
        response_model=HistoryAnswer,
        responses=answers(
            examples.HISTORY,
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
        kind: Kind = None,
    ) -> Response:
        """每整分钟及每次变化公布、此后不再更改的数值；默认最近 24 小时。

        What was published at every whole minute and change, and has not been changed since; the last 24
        hours by default. Of every `step_s`, counted from 1970, the first value is given; steps without one
        give no point. With 0 every value is given.
        """
        checks = Checks()
        now_us = context.clock.now_us()
        if from_ is None and to is None:
            period: params.Period | None = params.Period(now_us - DAY_US, now_us, None)
        else:
            period = params.period(checks, from_, to, None, now_us)
        if step_s % 60:
            checks.refuse("step_s", "not_of_step", str(step_s))
        if community is not None and kind is not None:
            checks.refuse("kind", "excludes", kind, partner="community")
        if kind is not None and actor.communities is not None:
            checks.refuse("kind", "of_all_communities", kind)
        if period is not None:
            series.check_size(checks, period, step_s)
        with context.db.read() as connection:
            params.scope(checks, connection, community, kind, actor.communities)
            checks.settle()
            assert period is not None  # noqa: S101 - absent only with a fault
            values = published.series(
                connection, NAME, period.from_us, period.to_us, step_us=step_s * SECOND_US or None
            )
        points = series.points(values, community=community, kind=kind, within=actor.communities)
        return json({"points": points})

    return routes

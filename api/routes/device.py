"""One device: its state and why, and its states through a period."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api import detail, examples, params
from api.answers import answers, json
from api.auth.guard import Allowed
from api.auth.unseen import note_unseen
from api.context import Context
from api.models import IntervalsAnswer
from api.params import At, DeviceId, From, KnownAt, Moment, To
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE, UNKNOWN_DEVICE
from api.problems import Checks, Problem
from api.statistics_examples import OF_DEVICE
from api.statistics_models import DeviceFullAnswer
from pulse.access.roles import Actor, Permission
from pulse.clock import DAY_US

_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]


def router(context: Context) -> APIRouter:
    """The endpoints of one device."""
    routes = APIRouter(
        prefix="/api/v1/devices",
        tags=["设备 / devices"],
        dependencies=[Depends(Allowed(Permission.DEVICES_READ)), Depends(params.only_known)],
    )

    @routes.get(
        "/{id}",
        summary="一台设备及其原因 / one device and why",
        response_model=DeviceFullAnswer,
        responses=answers(
            {**examples.DEVICE_DETAIL, "statistics": OF_DEVICE},
            INVALID_PARAMETERS,
            UNKNOWN_DEVICE,
            UNAVAILABLE,
            description="状态、从何时起、起决定作用的消息 / state, since when, and the messages that decide",
        ),
    )
    def device(
        request: Request, actor: _Reader, id_: DeviceId, at: At = None, known_at: KnownAt = None
    ) -> Response:
        """为什么离线？登记信息、状态、原因、起决定作用的消息、监听时段和此前 24 小时。

        Why is it offline? Registry facts, state, cause, the deciding messages, the listening window, and
        the 24 hours before.
        """
        checks = Checks()
        params.device_id(checks, id_)
        moment = params.moment(checks, at, known_at, context.clock.now_us())
        checks.settle()
        answer = detail.device(context, id_, moment, actor.communities)
        if answer is None:
            note_unseen(request, actor, id_)
            raise Problem(UNKNOWN_DEVICE, members={"device": id_})
        return json(answer)

    @routes.get(
        "/{id}/intervals",
        summary="一台设备的各段状态 / a device's states through a period",
        response_model=IntervalsAnswer,
        responses=answers(
            examples.INTERVALS,
            INVALID_PARAMETERS,
            UNKNOWN_DEVICE,
            UNAVAILABLE,
            description="首尾相接的状态 / states without gaps",
        ),
    )
    def intervals(
        request: Request,
        actor: _Reader,
        id_: DeviceId,
        from_: From = None,
        to: To = None,
        known_at: KnownAt = None,
    ) -> Response:
        """时段内的全部状态，首尾相接；默认最近 24 小时。

        Every state through the period, without gaps; the last 24 hours by default.
        """
        checks = Checks()
        params.device_id(checks, id_)
        now_us = context.clock.now_us()
        if from_ is None and to is None:
            moment = params.moment(checks, None, known_at, now_us)
            checks.settle()
            asked = detail.resolved(context, moment)
            from_us = asked.at_us - DAY_US
        else:
            period = params.period(checks, from_, to, known_at, now_us)
            checks.settle()
            assert period is not None  # noqa: S101 - absent only with a fault
            asked = detail.resolved(context, Moment(period.to_us, period.known_us))
            from_us = period.from_us
        with context.db.read() as connection:
            found = detail.registered(connection, id_, actor.communities)
        if found is None:
            note_unseen(request, actor, id_)
            raise Problem(UNKNOWN_DEVICE, members={"device": id_})
        stretches = context.rate.timeline(id_, from_us, *asked)
        return json(detail.intervals(id_, stretches, from_us, asked))

    return routes

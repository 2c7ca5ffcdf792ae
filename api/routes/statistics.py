"""Statistics over a period: of all devices and their groups, of every device, of one."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api import cursor, detail, exporting, params, reliability
from api import statistics_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.detail import Asked
from api.exporting import CSV, DEFAULT_LIMIT, MAX_LIMIT
from api.params import Community, DeviceId, From, Kind, KnownAt, Moment, Threshold, To
from api.present import Present
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE, UNKNOWN_DEVICE
from api.problems import Checks, Problem
from api.reliability import Filters
from api.statistics_models import DevicesStatisticsAnswer, DeviceStatisticsAnswer, StatisticsAnswer
from pulse.access.roles import Actor, Permission
from pulse.indicators.statistics import Chosen, Period

_Reader = Annotated[Actor, Depends(Allowed(Permission.INDICATORS_READ))]
_DeviceReader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]

_DEFAULT = "95"


def router(context: Context, present: Present) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1", tags=["统计 / statistics"], dependencies=[Depends(params.only_known)]
    )
    statistics, clock = context.statistics, context.clock

    def settled(from_us: int | None, moment: Moment) -> Period:
        return statistics.period(from_us, *detail.resolved(context, moment))

    @routes.get(
        "/statistics",
        summary="统计 / statistics",
        response_model=StatisticsAnswer,
        responses=answers(
            examples.STATISTICS,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="可用率、中断、恢复、抖动 / availability, outages, restorations, flapping",
        ),
    )
    def whole(
        actor: _Reader,
        from_: From = None,
        to: To = None,
        known_at: KnownAt = None,
        community: Community = None,
        kind: Kind = None,
        threshold: Threshold = _DEFAULT,
    ) -> Response:
        """全部设备及各小区、各类别在时段内的统计，默认最近 30 天；定义见 docs/statistics。

        Of all devices together and by community and kind, the last 30 days by default; docs/statistics
        defines every figure.
        """
        checks = Checks()
        from_us, moment = reliability.asked_of(checks, from_, to, known_at, clock.now_us())
        least = params.threshold_of(checks, threshold)
        with context.db.read() as connection:
            params.scope(checks, connection, community, kind, actor.communities)
            checks.settle()
        chosen = Chosen(actor.communities, community, kind)
        answer = statistics.answer(settled(from_us, moment), chosen, least)
        return json(answer if actor.may(Permission.DEVICES_READ) else reliability.unnamed(answer))

    @routes.get(
        "/statistics/devices",
        summary="各设备的统计 / statistics of every device",
        response_model=DevicesStatisticsAnswer,
        responses=answers(
            examples.DEVICES,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="一页设备，或全部设备的 CSV / one page, or all of them as CSV",
            **{CSV: examples.DEVICES_CSV},
        ),
    )
    def devices(
        request: Request,
        actor: _DeviceReader,
        from_: From = None,
        to: To = None,
        known_at: KnownAt = None,
        community: Community = None,
        kind: Kind = None,
        threshold: Threshold = _DEFAULT,
        order: Annotated[
            Literal["id", "down"],
            Query(description="按编号，或停止时间长者在前 / by id, or the longest down first"),
        ] = "id",
        limit: Annotated[
            int | None,
            Query(
                ge=1,
                le=MAX_LIMIT,
                description=f"每页台数，默认 {DEFAULT_LIMIT}；CSV 默认全部 / devices of a page, "
                f"{DEFAULT_LIMIT} by default; CSV gives all by default",
            ),
        ] = None,
        cursor_: Annotated[
            str | None,
            Query(
                alias="cursor",
                max_length=400,
                description="上一页的 next；各页回答同一时段 / `next` of the page before; "
                "all pages answer for the same period",
            ),
        ] = None,
        format_: Annotated[
            Literal["json", "csv"] | None,
            Query(alias="format", description="默认按 Accept / by the Accept header by default"),
        ] = None,
    ) -> Response:
        """时段内在用的每台设备，默认最近 30 天；最差的在前：`order=down`。

        Every device that was in service in the period, the last 30 days by default; the worst ones first
        with `order=down`.
        """
        checks = Checks()
        now_us, within = clock.now_us(), actor.communities
        from_us, moment = reliability.asked_of(checks, from_, to, known_at, now_us)
        filters = Filters(from_us, community, kind, params.threshold_of(checks, threshold), order)
        begin = reliability.begin(checks, filters, moment, cursor_, now_us, within)
        with context.db.read() as connection:
            params.scope(checks, connection, community, kind, within)
            checks.settle()
        period = settled(from_us, Moment(begin.to_us, begin.known_us))
        asked = Asked(period.to_us, period.known_us)
        records = present.records()
        found = reliability.ordered(
            [
                own
                for own in statistics.devices(period, Chosen(within, community, kind))
                if own.device.id in records
            ],
            order,
        )
        as_csv = exporting.wants_csv(request, format_)
        size = limit or (len(found) or 1 if as_csv else DEFAULT_LIMIT)
        rest = [own for own in found if reliability.key_of(own, order) > begin.after]
        page, following = rest[:size], None
        if len(rest) > size:
            last = reliability.key_of(page[-1], order)
            following = cursor.encode(cursor.Cursor(last, *asked, cursor.digest(filters, within)))
        items = [reliability.item(own, records[own.device.id], filters.threshold) for own in page]
        if as_csv:
            exporting.note(context, actor, "statistics", filters._asdict(), asked, len(page))
            rows = [reliability.row(item, own) for item, own in zip(items, page, strict=True)]
            return exporting.csv_answer("statistics", reliability.COLUMNS, rows, following, asked.at_us)
        body = {"items": items, "next": following, "total": len(found), **statistics.about(period)}
        return json(body, {"Vary": "Accept"})

    @routes.get(
        "/devices/{id}/statistics",
        summary="一台设备的统计 / statistics of one device",
        response_model=DeviceStatisticsAnswer,
        responses=answers(
            examples.DEVICE,
            INVALID_PARAMETERS,
            UNKNOWN_DEVICE,
            UNAVAILABLE,
            description="一台设备在时段内的统计 / what one device did in the period",
        ),
    )
    def one(
        actor: _DeviceReader, id_: DeviceId, from_: From = None, to: To = None, known_at: KnownAt = None
    ) -> Response:
        """一台设备在时段内的统计，默认最近 30 天 / of one device, the last 30 days by default."""
        checks = Checks()
        params.device_id(checks, id_)
        from_us, moment = reliability.asked_of(checks, from_, to, known_at, clock.now_us())
        checks.settle()
        with context.db.read() as connection:
            if detail.registered(connection, id_, actor.communities) is None:
                raise Problem(UNKNOWN_DEVICE, members={"device": id_})
        return json({"device": id_, **statistics.device(id_, settled(from_us, moment))})

    return routes

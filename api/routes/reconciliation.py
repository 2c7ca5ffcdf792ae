"""What departments report that they hold, compared with what was delivered, and delivering it again."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import params
from api import reconciliation_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed, forbidden, note_refusal
from api.context import Context
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from api.reconciliation_models import AgainAnswer, AgainBody, ReportAnswer, ReportBody, ReportsAnswer
from pulse.access import reconciliation
from pulse.access.roles import Actor, Permission
from pulse.access.showing_reports import made_again, shown
from pulse.errors import BadInput, NotFound
from pulse.sharing.reconciling import Holding, checked, checked_day
from pulse.stores.relational import outlets, reports

_MOST = 366
_Outlet = Annotated[
    str,
    Path(max_length=params.MAX_VALUE, description="出口编号 / id of the outlet", examples=["fire"]),
]
_MayPull = Annotated[Actor, Depends(Allowed(Permission.SHARING_PULL))]
_MayRead = Annotated[Actor, Depends(Allowed(Permission.SHARING_READ, or_else=Permission.SHARING_PULL))]
_MayWrite = Annotated[Actor, Depends(Allowed(Permission.SHARING_WRITE))]
_DOING = (NOT_FOUND, CONFLICT, SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/sharing/outlets/{outlet}",
        tags=["数据共享 / data sharing"],
        dependencies=[Depends(params.only_known)],
    )
    db, clock = context.db, context.clock
    zone = ZoneInfo(context.settings.timezone)

    def check_own(request: Request, actor: Actor, outlet: str) -> None:
        """Whoever reaches for another department's outlet is refused, and it is in the log."""
        if outlet not in actor.outlets:
            raise forbidden(request, actor, f"outlet:{outlet}")

    def check_seen(request: Request, actor: Actor, outlet: str) -> None:
        """An outlet of communities that the actor does not see is as none."""
        with db.read() as connection:
            found = outlets.of(connection, outlet)
        if found is not None and not _sees(actor, found.communities):
            note_refusal(request, actor, f"outlet:{outlet}")
            found = None
        if found is None:
            raise NotFound(f"没有出口 {outlet} / there is no outlet {outlet}")

    @routes.post(
        "/reports",
        summary="报告所持数据 / report what is held",
        response_model=ReportAnswer,
        responses=answers(examples.REPORT, *_DOING, description="已记录，附对照 / kept, and compared"),
    )
    def report(request: Request, actor: _MayPull, outlet: _Outlet, body: ReportBody) -> Response:
        """部门说明某一天各种类持有多少条记录及其摘要；与我方已投递的对照。

        A department says how many records of each kind it holds of a day, with their digest; the answer
        compares with what was delivered to it. Records are counted once, however often they came.
        """
        check_own(request, actor, outlet)
        day = checked_day(body.day)
        theirs: dict[str, Holding] = {}
        for position, held in enumerate(body.kinds):
            if held.data_kind in theirs:
                raise BadInput("出现两次 / is there twice", where=f"kinds[{position}].data_kind")
            theirs[held.data_kind] = checked(held.count, held.digest, f"kinds[{position}].digest")
        with db.write() as connection:
            made = reconciliation.report(
                connection, actor, outlet, day, body.through, theirs, clock.now_us(), zone
            )
        return json(shown(made))

    @routes.get(
        "/reports",
        summary="双方对照 / both sides",
        response_model=ReportsAnswer,
        responses=answers(
            examples.REPORTS,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="每天最后一份，日期最近的在前 / the last of each day, the latest day first",
        ),
    )
    def listed(
        request: Request,
        actor: _MayRead,
        outlet: _Outlet,
        day: Annotated[
            str | None,
            Query(max_length=40, description="只看这一天 / of this day only", examples=["2026-11-23"]),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST, description="最多天数 / most days")] = 31,
    ) -> Response:
        """每天最后一份报告与我方当时所持，及其差异；部门看自己的出口。

        The last report of each day beside what we held then, and the difference; a department sees its own.
        """
        if actor.may(Permission.SHARING_READ):
            check_seen(request, actor, outlet)
        else:
            check_own(request, actor, outlet)
        with db.read() as connection:
            if day is None:
                found = reports.listing(connection, [outlet], limit=limit)
            else:
                last = reports.newest(connection, outlet, checked_day(day))
                found = [] if last is None else [last]
        return json({"reports": [shown(one) for one in found]})

    @routes.post(
        "/deliver-again",
        summary="重新投递 / deliver again",
        response_model=AgainAnswer,
        responses=answers(examples.AGAIN, *_DOING, description="新的投递已排队 / new deliveries wait"),
    )
    def deliver_again(actor: _MayWrite, outlet: _Outlet, body: AgainBody) -> Response:
        """将某一天的记录以新的投递编号再投递一次：指定的种类，或最后一份报告中对方缺少的种类。

        Delivers records of a day once more under new ids: of these kinds, or of those that the last report
        lacks. The department tells records that it has by their ids.
        """
        day = checked_day(body.day)
        with db.write() as connection:
            again = reconciliation.deliver_again(
                connection, actor, outlet, day, body.data_kinds, clock.now_us(), zone
            )
        return json(made_again(outlet, day, again))

    return routes


def _sees(actor: Actor, communities: tuple[str, ...] | None) -> bool:
    """Whether everything that an outlet delivers is of the actor's communities: its sums tell of all."""
    return actor.communities is None or (
        communities is not None and all(actor.sees(community) for community in communities)
    )

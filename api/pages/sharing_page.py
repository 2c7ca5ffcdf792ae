"""The page of data sharing, and the form with which a day is delivered again."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import HTMLResponse

from api import params
from api.auth.guard import Allowed
from api.context import Context
from api.pages.board import read_names
from api.pages.forms import Posted, SignedIn, wrong
from api.pages.refusals import page_route, to
from api.pages.render import Renderer
from api.pages.sharing import WINDOW_US, Sharing, Sharings
from pulse.access import reconciliation
from pulse.access.roles import Actor, Permission
from pulse.errors import BadInput, Conflict
from pulse.sharing.reconciling import checked_day

ADDRESS = "/sharing"
_Reader = Annotated[Actor, Depends(Allowed(Permission.SHARING_READ))]
_MayWrite = Annotated[Actor, Depends(Allowed(Permission.SHARING_WRITE))]
_Outlet = Annotated[str, Path(max_length=params.MAX_VALUE)]


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes."""
    routes = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, route_class=page_route(renderer)
    )
    sharings = Sharings(context)
    zone = ZoneInfo(context.settings.timezone)

    def page(request: Request, actor: Actor, *, status: int = 200, fault: str = "") -> HTMLResponse:
        found: Sharing = sharings.now(actor.communities)
        return renderer.page(
            request,
            "sharing.html",
            status=status,
            at=ADDRESS,
            sharing=found,
            names={row.outlet.id: row.outlet for row in found.outlets},
            kinds={kind.told["id"]: kind.told for kind in found.kinds},
            communities=read_names(context, actor.communities).communities,
            window_us=WINDOW_US,
            fault=fault,
        )

    @routes.get(ADDRESS)
    def listed(request: Request, actor: _Reader) -> Response:
        return page(request, actor)

    @routes.post("/sharing/{outlet}/deliver-again")
    def deliver_again(
        request: Request, outlet: _Outlet, actor: _MayWrite, _person: SignedIn, fields: Posted
    ) -> Response:
        try:
            day = checked_day(fields.one("day"))
            with context.db.write() as connection:
                reconciliation.deliver_again(
                    connection, actor, outlet, day, None, context.clock.now_us(), zone
                )
        except (BadInput, Conflict) as error:
            status = 409 if isinstance(error, Conflict) else 422
            said = wrong(error, renderer.words(request).language)
            return page(request, actor, status=status, fault=" ".join(said.values()))
        sharings.forget()
        return to(f"{ADDRESS}#reports")

    return routes

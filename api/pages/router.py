"""The pages' addresses; all work is done elsewhere."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Concatenate, ParamSpec

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from api.auth.guard import Allowed
from api.auth.unseen import note_unseen
from api.context import Context
from api.listing import Filters
from api.pages.board import Boards, read_names
from api.pages.fleet import fleet
from api.pages.refusals import page_route
from api.pages.render import Renderer
from api.pages.story import story
from api.present import Present
from pulse import logs
from pulse.access.roles import Actor, Permission
from pulse.errors import StoreUnavailable
from pulse.ids import is_id
from pulse.ledger.model import State
from pulse.settings import Broker
from pulse.stores.relational import incidents

_P = ParamSpec("_P")
_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]
_log = logs.get(__name__)


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes of the pages for people; they appear in no API description."""
    routes = APIRouter(
        include_in_schema=False,
        default_response_class=HTMLResponse,
        route_class=page_route(renderer),
        dependencies=[Depends(Allowed(Permission.DEVICES_READ))],
    )
    present = Present(context)
    boards = Boards(context, present)
    settings = context.settings
    broker = (
        Broker(settings.mqtt_url.get_secret_value())
        if settings.mqtt_url is not None
        else Broker(f"mqtt://127.0.0.1:{settings.mqtt_port}")
    )

    def guarded(answer: Callable[Concatenate[Request, _P], HTMLResponse]) -> Callable[..., HTMLResponse]:
        """A page that says in words that the database cannot be reached, instead of an API problem."""

        @wraps(answer)
        def page(request: Request, *args: _P.args, **kwargs: _P.kwargs) -> HTMLResponse:
            try:
                return answer(request, *args, **kwargs)
            except StoreUnavailable as error:
                _log.warning("page_unavailable", path=request.url.path, error=str(error))
                return renderer.page(request, "unavailable.html", status=503)

        return page

    def overview(request: Request, actor: Actor, template: str) -> HTMLResponse:
        board = boards.now(actor.communities)
        with context.db.read() as connection:
            suspicions = incidents.unsettled(connection, actor.communities)
        names = read_names(context, actor.communities).communities if suspicions else {}
        return renderer.page(
            request,
            template,
            board=board,
            broker=broker,
            suspicions=suspicions,
            names=names,
            second=context.sharing.instant(within=actor.communities)
            if actor.may(Permission.SHARING_READ)
            else None,
        )

    @routes.get("/")
    @guarded
    def index(request: Request, actor: _Reader) -> HTMLResponse:
        return overview(request, actor, "index.html")

    @routes.get("/wall")
    @guarded
    def wall(request: Request, actor: _Reader) -> HTMLResponse:
        return overview(request, actor, "wall.html")

    @routes.get("/devices")
    @guarded
    def devices(
        request: Request,
        actor: _Reader,
        state: Annotated[list[str] | None, Query()] = None,
        community: str = "",
        kind: str = "",
        q: Annotated[str, Query(max_length=100)] = "",
        after: str = "",
    ) -> HTMLResponse:
        known = {s.slug for s in State}
        states = tuple(slug for slug in state or () if slug in known)
        filters = Filters(states, community or None, kind or None, q.strip() or None)
        found = fleet(context, present, filters, after, actor.communities)
        return renderer.page(request, "devices.html", fleet=found)

    @routes.get("/devices/{device_id}")
    @guarded
    def device(request: Request, actor: _Reader, device_id: str) -> HTMLResponse:
        is_known = is_id(device_id)
        found = story(context, device_id, renderer.times, actor.communities) if is_known else None
        if found is None:
            if is_known:
                note_unseen(request, actor, device_id)
            return renderer.page(request, "missing.html", status=404, device_id=device_id)
        return renderer.page(request, "device.html", story=found)

    return routes

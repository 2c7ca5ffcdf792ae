"""Communities that fell silent at once: what was found, and the forms with which people decide."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api.auth.guard import Allowed
from api.context import Context
from api.pages.board import read_names
from api.pages.forms import Faults, Posted, SignedIn, wrong
from api.pages.refusals import page_route, to
from api.pages.render import Renderer
from pulse.access import incidents as deciding
from pulse.access.roles import Actor, Permission, person
from pulse.errors import BadInput, Conflict
from pulse.stores.relational import incidents
from pulse.stores.relational.incidents import UNSETTLED, Entry

ADDRESS = "/incidents"
_MOST = 100
_Reader = Annotated[Actor, Depends(Allowed(Permission.COLLECTOR_READ))]
_MayDecide = Annotated[Actor, Depends(Allowed(Permission.COVERAGE_WRITE))]
_Id = Annotated[int, Path(ge=1, le=2**62)]
_Decide = Callable[[Connection, int], Entry]


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes."""
    routes = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, route_class=page_route(renderer)
    )

    def page(
        request: Request,
        actor: Actor,
        *,
        status: int = 200,
        faulty: int | None = None,
        faults: Faults | None = None,
        asked: str = "",
    ) -> HTMLResponse:
        """The list; `faults` are what was wrong in the form of the incident `faulty`."""
        with context.db.read() as connection:
            waiting = incidents.unsettled(connection, actor.communities)
            found = incidents.listing(connection, actor.communities, limit=_MOST)
        return renderer.page(
            request,
            "incidents.html",
            status=status,
            at=ADDRESS,
            waiting=waiting,
            settled=[entry for entry in found if entry.status not in UNSETTLED],
            names=read_names(context, actor.communities).communities,
            own=person(actor.name),
            person=person,
            faulty=faulty,
            faults=faults or Faults(),
            asked=asked,
            now_us=context.clock.now_us(),
            done=request.query_params.get("done"),
        )

    def decided(
        request: Request, actor: Actor, incident: int, decide: _Decide, done: str, asked: str = ""
    ) -> Response:
        with context.db.write() as connection:
            deciding.note_stranger(connection, actor, incident, context.clock.now_us())
        try:
            with context.db.write() as connection:
                decide(connection, context.clock.now_us())
        except (BadInput, Conflict) as error:
            status = 409 if isinstance(error, Conflict) else 422
            faults = wrong(error, renderer.words(request).language)
            return page(request, actor, status=status, faulty=incident, faults=faults, asked=asked)
        return to(f"{ADDRESS}?done={done}#i-{incident}")

    @routes.get(ADDRESS)
    def listed(request: Request, actor: _Reader) -> Response:
        return page(request, actor)

    @routes.post("/incidents/{incident_id}/confirm")
    def confirm(
        request: Request, incident_id: _Id, actor: _MayDecide, _person: SignedIn, fields: Posted
    ) -> Response:
        reason = fields.one("reason")
        return decided(
            request,
            actor,
            incident_id,
            lambda connection, now_us: deciding.confirm(connection, actor, incident_id, reason, now_us),
            "confirmed",
            reason,
        )

    @routes.post("/incidents/{incident_id}/approve")
    def approve(
        request: Request, incident_id: _Id, actor: _MayDecide, _person: SignedIn, _fields: Posted
    ) -> Response:
        return decided(
            request,
            actor,
            incident_id,
            lambda connection, now_us: deciding.approve(connection, actor, incident_id, now_us),
            "approved",
        )

    @routes.post("/incidents/{incident_id}/dismiss")
    def dismiss(
        request: Request, incident_id: _Id, actor: _MayDecide, _person: SignedIn, fields: Posted
    ) -> Response:
        reason = fields.one("reason")
        return decided(
            request,
            actor,
            incident_id,
            lambda connection, now_us: deciding.dismiss(connection, actor, incident_id, reason, now_us),
            "dismissed",
            reason,
        )

    return routes

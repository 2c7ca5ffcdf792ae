"""Sign-in and sign-out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from api.auth import cookies
from api.auth.guard import Open, check_field, check_site
from api.auth.identity import identity, session_secret
from api.context import Context
from api.pages.door import Door
from api.pages.forms import TOKEN, Fields, PostedBefore, body
from api.pages.refusals import SIGN_IN, page_route, same_site, to
from api.pages.render import Renderer
from pulse.access import entry
from pulse.access.roles import Role
from pulse.clock import SECOND_US
from pulse.stores.relational import users

_COMING_IN = Depends(Open("nobody is signed in yet; a password is asked for"))
_GOING_OUT = Depends(Open("ends the sender's own session, after its form's token"))


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes; why a sign-in failed is never said, only for how long to wait."""
    routes = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, route_class=page_route(renderer)
    )
    door = Door(context, renderer)

    def show(
        request: Request, wanted: str, *, name: str = "", refused: entry.Refused | None = None
    ) -> HTMLResponse:
        with context.db.read() as connection:
            first = users.active_of_role(connection, Role.ADMIN) == 0
        wait_s, status = None, 200 if refused is None else 401
        if refused is not None and refused.until_us is not None:
            wait_s, status = -(-(refused.until_us - context.clock.now_us()) // SECOND_US), 429
        page = door.show(
            request,
            "sign_in.html",
            status=status,
            next=wanted,
            name=name,
            failed=refused is not None,
            wait_s=wait_s,
            first=first,
        )
        if wait_s is not None:
            page.headers["Retry-After"] = str(wait_s)
        return page

    @routes.get(SIGN_IN, dependencies=[_COMING_IN])
    def sign_in(
        request: Request, wanted: Annotated[str, Query(alias="next", max_length=1000)] = ""
    ) -> Response:
        wanted = same_site(wanted)
        return to(wanted) if identity(request).of(request).present else show(request, wanted)

    @routes.post(SIGN_IN, dependencies=[_COMING_IN])
    def signing_in(request: Request, fields: PostedBefore) -> Response:
        name, wanted = fields.one("name"), same_site(fields.one("next"))
        begun = door.sign_in(request, name, fields.one("password"))
        if isinstance(begun, entry.Refused):
            return show(request, wanted, name=name[:64], refused=begun)
        return door.welcome(request, begun, wanted)

    @routes.post("/sign-out", dependencies=[_GOING_OUT])
    def sign_out(request: Request, fields: Annotated[Fields, Depends(body)]) -> Response:
        known, secret = identity(request).of(request), session_secret(request)
        if known.present is not None and secret is not None:
            check_site(request, known)
            check_field(request, known, fields.one(TOKEN))
            entry.sign_out(context.db, secret, context.clock.now_us(), known.origin.address)
        answer = to(SIGN_IN)
        cookies.take_session(answer, known.origin.scheme)
        return answer

    return routes

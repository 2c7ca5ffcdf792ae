"""Coming in by a one-time code: the first administrator, and people who were invited."""

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api.auth.guard import Open
from api.auth.identity import identity
from api.context import Context
from api.pages.door import Door
from api.pages.forms import Faults, PostedBefore, wrong
from api.pages.refusals import SIGN_IN, page_route, to
from api.pages.render import Renderer
from pulse.access import entry, passwords, people
from pulse.errors import BadInput, Conflict, NotFound

_BY_CODE = Depends(Open("nobody is signed in yet; a one-time code is asked for"))


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes. A link holds its code behind a #, where no server and no log gets to see it."""
    routes = APIRouter(
        include_in_schema=False,
        default_response_class=HTMLResponse,
        route_class=page_route(renderer),
        dependencies=[_BY_CODE],
    )
    door = Door(context, renderer)

    def invited(code: str) -> str | None:
        """The name of whom a code invites, None for the first administrator. Raises `NotFound`."""
        with context.db.read() as connection:
            user = people.whom(connection, code, context.clock.now_us())
        return None if user is None else user.name

    def accepted(request: Request, code: str, name: str, password: str) -> Response:
        """Use a code, and come in with the password just chosen. Raises what `people.accept` does."""
        passwords.check(password, user=name, least=door.least)
        hashed = passwords.hashed(password)
        address = identity(request).origin(request).address
        with context.db.write() as connection:
            user = people.accept(connection, code, name, hashed, context.clock.now_us(), address)
        begun = door.sign_in(request, user.name, password)
        return door.welcome(request, begun, "/") if isinstance(begun, entry.SignedIn) else to(SIGN_IN)

    def faults_of(request: Request, error: BadInput | Conflict | NotFound) -> Faults:
        faults = wrong(error, renderer.words(request).language)
        if isinstance(error, NotFound):
            address = identity(request).origin(request).address
            entry.refused_code(context.db, context.clock.now_us(), address)
            return Faults(code=faults[""])
        return Faults(name=faults[""]) if isinstance(error, Conflict) else faults

    @routes.get("/setup")
    def setup(request: Request) -> Response:
        return door.show(request, "setup.html", name="", code="", faults=Faults())

    @routes.post("/setup")
    def setting_up(request: Request, fields: PostedBefore) -> Response:
        name, code = fields.one("name").strip().casefold(), fields.one("code")
        try:
            if invited(code) is not None:
                return to("/welcome")
            return accepted(request, code, name, fields.one("password"))
        except (BadInput, Conflict, NotFound) as error:
            faults = faults_of(request, error)
        return door.show(request, "setup.html", status=422, name=name[:64], code=code[:64], faults=faults)

    @routes.get("/welcome")
    def welcome(request: Request) -> Response:
        return door.show(request, "welcome.html", name=None, code="", faults=Faults())

    @routes.post("/welcome")
    def choosing(request: Request, fields: PostedBefore) -> Response:
        """First the code alone, then with it the password: so that the name stands beside the password."""
        code, name, faults = fields.one("code"), None, Faults()
        try:
            name = invited(code)
            if name is None:
                return to("/setup")
            if fields.one("step") == "password":
                return accepted(request, code, name, fields.one("password"))
        except (BadInput, Conflict, NotFound) as error:
            faults = faults_of(request, error)
        status = 422 if faults else 200
        return door.show(request, "welcome.html", status=status, name=name, code=code[:64], faults=faults)

    return routes

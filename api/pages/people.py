"""People who can sign in: the administrator's list, and one person's account."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api.auth.guard import Allowed
from api.context import Context
from api.pages.board import read_names
from api.pages.forms import Faults, Fields, Person, Posted, SignedIn, wrong
from api.pages.refusals import page_route, to
from api.pages.render import Renderer
from pulse.access import lockout, people
from pulse.access.roles import WITHOUT_COMMUNITIES, Permission, Role, role_of
from pulse.errors import BadInput, Conflict
from pulse.stores.relational import attempts, audit, sessions, tokens, users
from pulse.stores.relational.users import User

ADDRESS = "/people"
_LATEST = 10


class Listed(NamedTuple):
    """A person as a row shows them; `state` is a slug of `labels.PEOPLE`."""

    user: User
    state: str
    until_us: int | None
    last_us: int | None


def listed(connection: Connection, user: User, last_us: int | None, now_us: int) -> Listed:
    """The row of a user, with what keeps them from signing in."""
    until_us = lockout.refused_until(attempts.of(connection, lockout.user_subject(user.name)), now_us)
    if user.disabled_us is not None:
        state = "disabled"
    elif user.password_hash is None:
        state = "waiting"
    else:
        state = "active" if until_us is None else "locked"
    return Listed(user, state, until_us, last_us)


class Views:
    """The two pages; `faults` are what was wrong in the form that came before."""

    def __init__(self, context: Context, renderer: Renderer) -> None:
        self._context = context
        self._renderer = renderer

    def everybody(
        self,
        request: Request,
        *,
        status: int = 200,
        faults: Faults | None = None,
        asked: Mapping[str, Any] | None = None,
    ) -> HTMLResponse:
        """The list and the form for a new account."""
        now_us = self._context.clock.now_us()
        with self._context.db.read() as connection:
            last = sessions.last_sign_ins(connection)
            rows = [listed(connection, user, last.get(user.id), now_us) for user in users.all_of(connection)]
        return self._renderer.page(
            request,
            "people.html",
            status=status,
            at=ADDRESS,
            rows=rows,
            names=read_names(self._context),
            faults=faults or Faults(),
            asked=asked or {"name": "", "display": "", "role": Role.EVALUATOR, "communities": None},
            roles=list(Role),
            without=WITHOUT_COMMUNITIES,
            now_us=now_us,
        )

    def one(
        self,
        request: Request,
        name: str,
        *,
        status: int = 200,
        faults: Faults | None = None,
        code: str | None = None,
    ) -> HTMLResponse:
        """One account; `code` is that of a fresh invitation, shown now and never again."""
        now_us = self._context.clock.now_us()
        with self._context.db.read() as connection:
            user = people.must_be(connection, name)
            row = listed(connection, user, sessions.last_sign_ins(connection).get(user.id), now_us)
            keys = [token for token in tokens.listing(connection, user.id) if token.revoked_us is None]
            wanted = audit.Filter(actor=f"user:{name}")
            entries = audit.listing(connection, wanted, limit=_LATEST)
        origin = request.app.state.identity.origin(request)
        site = self._context.settings.public_url or f"{origin.scheme}://{origin.host}"
        return self._renderer.page(
            request,
            "person.html",
            status=status,
            at=f"{ADDRESS}/{name}",
            row=row,
            tokens=keys,
            entries=entries,
            names=read_names(self._context),
            faults=faults or Faults(),
            roles=list(Role),
            link=None if code is None else f"{site}/welcome#{code}",
            now_us=now_us,
            done=request.query_params.get("done"),
        )


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes, all for those who may change accounts."""
    routes = APIRouter(
        include_in_schema=False,
        default_response_class=HTMLResponse,
        route_class=page_route(renderer),
        dependencies=[Depends(Allowed(Permission.USERS_WRITE))],
    )
    views = Views(context, renderer)

    @routes.get(ADDRESS)
    def everybody(request: Request) -> Response:
        return views.everybody(request)

    @routes.post(ADDRESS)
    def create(request: Request, person: SignedIn, fields: Posted) -> Response:
        actor, now_us = person.known.actor, context.clock.now_us()
        name = fields.one("name").strip().casefold()
        try:
            with context.db.write() as connection:
                user = people.create(
                    connection,
                    actor,
                    name,
                    role_of(fields.one("role")),
                    now_us,
                    display=fields.one("display"),
                    communities=_communities(fields),
                )
                code = people.invite(connection, actor, user, now_us)
        except (BadInput, Conflict) as error:
            asked = {
                "name": name,
                "display": fields.one("display"),
                "role": fields.one("role"),
                "communities": fields.many("community") if fields.one("reach") == "some" else None,
            }
            faults = wrong(error, renderer.words(request).language)
            if isinstance(error, Conflict):
                faults = Faults(name=faults[""])
            return views.everybody(request, status=422, faults=faults, asked=asked)
        return views.one(request, user.name, code=code)

    @routes.get("/people/{name}")
    def one(request: Request, name: str) -> Response:
        return views.one(request, name)

    def change(request: Request, person: Person, name: str, wanted: people.Change, done: str) -> Response:
        try:
            with context.db.write() as connection:
                user = people.must_be(connection, name)
                people.change(connection, person.known.actor, user, wanted, context.clock.now_us())
        except (BadInput, Conflict) as error:
            status = 409 if isinstance(error, Conflict) else 422
            return views.one(
                request, name, status=status, faults=wrong(error, renderer.words(request).language)
            )
        return to(f"{ADDRESS}/{name}?done={done}")

    @routes.post("/people/{name}")
    def edit(request: Request, name: str, person: SignedIn, fields: Posted) -> Response:
        try:
            communities = _communities(fields)
            wanted = people.Change(
                display=fields.one("display"),
                role=role_of(fields.one("role")),
                communities=communities,
                all_communities=communities is None,
            )
        except BadInput as error:
            return views.one(request, name, status=422, faults=wrong(error, renderer.words(request).language))
        return change(request, person, name, wanted, "changed")

    @routes.post("/people/{name}/disable")
    def disable(request: Request, name: str, person: SignedIn, _fields: Posted) -> Response:
        return change(request, person, name, people.Change(disabled=True), "disabled")

    @routes.post("/people/{name}/enable")
    def enable(request: Request, name: str, person: SignedIn, _fields: Posted) -> Response:
        return change(request, person, name, people.Change(disabled=False), "enabled")

    @routes.post("/people/{name}/unlock")
    def unlock(request: Request, name: str, person: SignedIn, _fields: Posted) -> Response:
        with context.db.write() as connection:
            user = people.must_be(connection, name)
            people.unlock(connection, person.known.actor, user, context.clock.now_us())
        return to(f"{ADDRESS}/{name}?done=unlocked")

    @routes.post("/people/{name}/invitation")
    def invite(request: Request, name: str, person: SignedIn, _fields: Posted) -> Response:
        try:
            with context.db.write() as connection:
                user = people.must_be(connection, name)
                code = people.invite(connection, person.known.actor, user, context.clock.now_us())
        except Conflict as error:
            faults = wrong(error, renderer.words(request).language)
            return views.one(request, name, status=409, faults=faults)
        return views.one(request, name, code=code)

    return routes


def _communities(fields: Fields) -> frozenset[str] | None:
    """The communities that were chosen, None for all. Raises `BadInput` when none was."""
    if fields.one("reach") != "some":
        return None
    chosen = frozenset(fields.many("community"))
    if not chosen and role_of(fields.one("role")) not in WITHOUT_COMMUNITIES:
        raise BadInput("请至少选一个小区 / choose at least one community", where="communities")
    return chosen

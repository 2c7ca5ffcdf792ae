"""One's own account: password, sign-ins, API tokens."""

from typing import NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api.auth.guard import Allowed, Open
from api.context import Context
from api.pages.board import read_names
from api.pages.forms import Faults, Person, Posted, SignedIn, wrong
from api.pages.refusals import page_route, to
from api.pages.render import Renderer
from pulse.access import keys, own
from pulse.access.keys import NewToken
from pulse.access.roles import PERMISSIONS, Permission
from pulse.errors import BadInput, NotFound
from pulse.stores.relational import sessions, tokens

ADDRESS = "/account"
DAYS = (7, 30, 90, 365)
_OWN = Depends(Open("everybody's own account; asks for a session itself"))
_TOKENS = Depends(Allowed(Permission.TOKENS_WRITE))


class Asked(NamedTuple):
    """A token that is asked for, as its form says; `communities` None stands for all."""

    label: str
    scopes: frozenset[str]
    communities: frozenset[str] | None
    days: str


_AT_FIRST = Asked("", frozenset({Permission.INDICATORS_READ, Permission.DEVICES_READ}), None, "90")


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes; each acts on the account of the session and no other."""
    routes = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, route_class=page_route(renderer)
    )
    settings = context.settings

    def show(
        request: Request,
        person: Person,
        *,
        status: int = 200,
        made: NewToken | None = None,
        faults: Faults | None = None,
        asked: Asked = _AT_FIRST,
    ) -> HTMLResponse:
        now_us, user = context.clock.now_us(), person.present.user
        lifetime = request.app.state.identity.lifetime
        with context.db.read() as connection:
            begun = [
                session
                for session in sessions.of_user(connection, user.id)
                if now_us < min(session.expires_us, session.last_us + lifetime.idle_us)
            ]
            made_before = tokens.listing(connection, user.id)
        names = read_names(context)
        choice = {
            id_: part
            for id_, part in names.communities.items()
            if user.communities is None or id_ in user.communities
        }
        return renderer.page(
            request,
            "account.html",
            status=status,
            at=ADDRESS,
            session=person.present.session,
            sessions=begun,
            tokens=[token for token in made_before if token.revoked_us is None],
            names=names,
            choice=choice,
            scopes=sorted(PERMISSIONS[user.role]),
            days=DAYS,
            made=made,
            faults=faults or Faults(),
            asked=asked,
            least=settings.password_min_length,
            now_us=now_us,
            site=settings.public_url or f"{person.known.origin.scheme}://{person.known.origin.host}",
            done=request.query_params.get("done"),
        )

    @routes.get(ADDRESS, dependencies=[_OWN])
    def account(request: Request, person: SignedIn) -> Response:
        return show(request, person)

    @routes.post("/account/password", dependencies=[_OWN])
    def password(request: Request, person: SignedIn, fields: Posted) -> Response:
        try:
            own.change_password(
                context.db,
                person.known.actor,
                person.present,
                fields.one("present"),
                fields.one("password"),
                context.clock.now_us(),
                least=settings.password_min_length,
            )
        except BadInput as error:
            return show(request, person, status=422, faults=wrong(error, renderer.words(request).language))
        return to(f"{ADDRESS}?done=password")

    @routes.post("/account/sessions/others/end", dependencies=[_OWN])
    def end_others(request: Request, person: SignedIn, _fields: Posted) -> Response:
        own.end_other_sessions(context.db, person.known.actor, person.present, context.clock.now_us())
        return to(f"{ADDRESS}?done=sessions")

    @routes.post("/account/sessions/{session_id}/end", dependencies=[_OWN])
    def end(request: Request, session_id: int, person: SignedIn, _fields: Posted) -> Response:
        if not own.end_session(context.db, person.known.actor, session_id, context.clock.now_us()):
            raise NotFound(f"没有会话 {session_id} / there is no session {session_id}")
        return to(f"{ADDRESS}?done=session")

    @routes.post("/account/tokens", dependencies=[_TOKENS])
    def make(request: Request, person: SignedIn, fields: Posted) -> Response:
        some = fields.one("reach") == "some"
        asked = Asked(
            fields.one("label"),
            frozenset(fields.many("scope")),
            frozenset(fields.many("community")) if some else None,
            fields.one("days"),
        )
        try:
            if some and not asked.communities:
                raise BadInput("请至少选一个小区 / choose at least one community", where="communities")
            with context.db.write() as connection:
                made = keys.create(
                    connection,
                    person.known.actor,
                    person.present.user,
                    asked.label,
                    asked.scopes,
                    asked.communities,
                    int(asked.days) if asked.days.isdecimal() else 0,
                    context.clock.now_us(),
                )
        except BadInput as error:
            faults = wrong(error, renderer.words(request).language)
            return show(request, person, status=422, faults=faults, asked=asked)
        return show(request, person, made=made)

    @routes.post("/account/tokens/{token_id}/revoke", dependencies=[_TOKENS])
    def revoke(request: Request, token_id: int, person: SignedIn, _fields: Posted) -> Response:
        user = person.present.user
        with context.db.write() as connection:
            token = tokens.of(connection, token_id)
            if token is None or token.user_id != user.id:
                raise NotFound(f"没有令牌 {token_id} / there is no token {token_id}")
            keys.revoke(connection, person.known.actor, token, user, context.clock.now_us())
        return to(f"{ADDRESS}?done=token")

    return routes

"""The guard that every endpoint has: which permission it asks for, or why it asks for none."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts

from api import problem_kinds as kinds
from api.auth.identity import Known, identity
from api.problems import Problem
from pulse.access.roles import Actor, Permission
from pulse.stores.relational import audit

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
WITHOUT_GUARD = frozenset({"/static", "/api/v1/openapi.json"})
"""Files of the pages and the description of the API: the same for everybody, and no endpoints."""

FORM_HEADER = "X-Pulse-Form"
"""Carries the form's token of a session where a script sends the request."""

_MOST_SENT_FROM = 200

_F = TypeVar("_F", bound=Callable[..., Any])
_FIELD_CHECKED: set[Callable[..., Any]] = set()


@dataclass(frozen=True)
class Allowed:
    """A dependency that gives the `Actor` if it has the permission or `or_else`, and ends the request if not.

    Which communities, devices or accounts the actor may touch is for the endpoint to ask: `Actor.sees`.
    """

    permission: Permission
    or_else: Permission | None = None

    def __call__(self, request: Request) -> Actor:
        known = identity(request).of(request)
        if not (known.actor.may(self.permission) or (self.or_else and known.actor.may(self.or_else))):
            raise refusal(request, known, self.permission)
        check_form(request, known)
        return known.actor


@dataclass(frozen=True)
class Open:
    """Marks an endpoint that everybody may use, and says why."""

    why: str

    def __call__(self, request: Request) -> None:
        """Nothing to ask."""


def refusal(request: Request, known: Known, permission: Permission) -> Problem:
    """The problem of somebody who may not: sign in first, or ask somebody who may."""
    if known.actor.is_anonymous:
        return Problem(kinds.SIGN_IN_REQUIRED, headers={"WWW-Authenticate": "Bearer"})
    return forbidden(request, known.actor, f"permission:{permission}")


def forbidden(request: Request, actor: Actor, subject: str, community: str | None = None) -> Problem:
    """The problem of a known actor that may not do this; written into the audit log."""
    note_refusal(request, actor, subject, community)
    return Problem(kinds.FORBIDDEN)


def note_refusal(
    request: Request, actor: Actor, subject: str, community: str | None = None, **said: str
) -> None:
    """Write into the audit log that a request was refused."""
    context = request.app.state.context
    with context.db.write() as connection:
        audit.append(
            connection,
            actor,
            "request",
            subject,
            context.clock.now_us(),
            outcome=audit.REFUSED,
            community=community,
            after={"method": request.method, "path": request.url.path, **said},
        )


def check_form(request: Request, known: Known) -> None:
    """Refuse a change that another site's page sent with our cookie.

    Browsers name the page's site in `Sec-Fetch-Site` and `Origin`, which scripts cannot forge; beside that
    a change carries the form's token of its session: in a header, or in a field of a form. Only endpoints
    that read forms (`field_checked`) look at the field; to any other, a body's type is no excuse.
    """
    if request.method in SAFE or known.present is None:
        return
    check_site(request, known)
    given = request.headers.get(FORM_HEADER)
    if given is None and _is_form(request) and _checks_field(request.scope["route"]):
        return
    check_field(request, known, given)


def field_checked(dependency: _F) -> _F:
    """Marks a dependency that reads the form of a request and asks `check_field` of it."""
    _FIELD_CHECKED.add(dependency)
    return dependency


def _checks_field(route: object) -> bool:
    return isinstance(route, APIRoute) and any(call in _FIELD_CHECKED for call in _calls(route.dependant))


def check_site(request: Request, known: Known) -> None:
    """Refuse a request that a page of another site sent."""
    site = request.headers.get("sec-fetch-site")
    sent_from = request.headers.get("origin")
    if (site is not None and site not in {"same-origin", "none"}) or (
        sent_from is not None and sent_from != f"{known.origin.scheme}://{known.origin.host}"
    ):
        raise _other_site(request, known)


def check_field(request: Request, known: Known, given: object) -> None:
    """Refuse a form without the token of its session."""
    if (
        known.form is None
        or not isinstance(given, str)
        or not hmac.compare_digest(given.encode(), known.form.encode())
    ):
        raise _other_site(request, known)


def _other_site(request: Request, known: Known) -> Problem:
    """The problem of a request that is not from a page of ours; in the log if it used somebody's session."""
    if known.present is not None:
        # Of the page only its site: what its address holds beside is nobody's business.
        sent_from = urlsplit(request.headers.get("origin") or request.headers.get("referer") or "").netloc
        note_refusal(request, known.actor, "form", sent_from=sent_from[:_MOST_SENT_FROM])
    return Problem(kinds.OTHER_SITE)


def _is_form(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in {"application/x-www-form-urlencoded", "multipart/form-data"}


def routes(app: FastAPI) -> list[APIRoute]:
    """Every endpoint of an application, those of included routers too.

    Raises `RuntimeError` for a route of another kind that is not ours: nobody would guard it.
    """
    found = []
    for context in iter_route_contexts(app.router.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            found.append(route)
        elif context.path not in WITHOUT_GUARD:
            raise RuntimeError(f"{context.path} is a {type(route).__name__}, which has no guard")
    return found


def guard_of(route: APIRoute) -> Allowed | Open | None:
    """What an endpoint declares; a permission goes before openness."""
    guards = [call for call in _calls(route.dependant) if isinstance(call, Allowed | Open)]
    guards.sort(key=lambda guard: isinstance(guard, Open))
    return guards[0] if guards else None


def _calls(dependant: "Dependant") -> Iterator[Any]:
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)


def check_guarded(app: FastAPI) -> None:
    """Raise for an endpoint that declares no guard: nobody thought of who may use it."""
    endpoints = routes(app)
    if not endpoints:
        raise RuntimeError("no endpoint was found to check; routers are kept in another way than before")
    forgotten = [route.path for route in endpoints if guard_of(route) is None]
    if forgotten:
        raise RuntimeError(f"no guard on {', '.join(forgotten)}: declare Allowed(…) or Open(…)")

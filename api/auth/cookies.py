"""Cookies of a sign-in: the session's, and the one that ties the form of a sign-in to its browser."""

import hmac

from fastapi import Request, Response

from api.auth.guard import check_site
from api.auth.identity import COOKIE, SECURE_COOKIE, Known
from api.problem_kinds import OTHER_SITE
from api.problems import Problem
from pulse.access import secrets

BEFORE = "pulse_before"
SECURE_BEFORE = "__Host-pulse_before"
"""Holds a secret of the browser before anybody signs in: without it a page of another site could sign its
reader in under somebody else's name."""

_FORM = "before"


def give_session(response: Response, scheme: str, secret: str) -> None:
    """Hand a session's secret to the browser; it ends with the browser, and on the server anyway."""
    name = SECURE_COOKIE if scheme == "https" else COOKIE
    _drop(response, scheme, tuple(other for other in (COOKIE, BEFORE, SECURE_BEFORE) if other != name))
    _set(response, scheme, name, secret)


def take_session(response: Response, scheme: str) -> None:
    """Make the browser forget its session."""
    _drop(response, scheme, (COOKIE, SECURE_COOKIE))


def before(request: Request, scheme: str) -> str:
    """The browser's secret from before a sign-in; a new one when it has none."""
    return request.cookies.get(_before_name(scheme)) or secrets.new_secret()


def give_before(response: Response, scheme: str, secret: str) -> None:
    """Hand the browser its secret from before a sign-in."""
    _set(response, scheme, _before_name(scheme), secret)


def form_before(secret: str) -> str:
    """What the forms carry that are filled in before a sign-in."""
    return secrets.derived(secret, _FORM)


def check_before(request: Request, known: Known, given: object) -> None:
    """Refuse such a form from a page of another site, or filled in by another browser. Raises `Problem`."""
    check_site(request, known)
    kept = request.cookies.get(_before_name(known.origin.scheme))
    if kept is None or not isinstance(given, str) or not _same(given, form_before(kept)):
        raise Problem(OTHER_SITE)


def _before_name(scheme: str) -> str:
    return SECURE_BEFORE if scheme == "https" else BEFORE


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _set(response: Response, scheme: str, name: str, value: str) -> None:
    response.set_cookie(name, value, path="/", httponly=True, samesite="lax", secure=scheme == "https")


def _drop(response: Response, scheme: str, names: tuple[str, ...]) -> None:
    for name in names:
        # A browser takes nothing under the name of a secure cookie that came without TLS.
        if scheme == "https" or not name.startswith("__Host-"):
            response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=scheme == "https")

"""What people see instead of a page: the sign-in, or in words why not; programs get problem details."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api import negotiate
from api import problem_kinds as kinds
from api.auth.guard import SAFE
from api.pages.render import Renderer
from api.problems import Problem
from pulse import logs
from pulse.errors import NotFound, StoreUnavailable

SIGN_IN = "/sign-in"
_MOST_NEXT = 500

_log = logs.get(__name__)


def page_route(renderer: Renderer) -> type[APIRoute]:
    """The class of the pages' routes: one whose errors are pages too."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def page(request: Request) -> Response:
                try:
                    return await answer(request)
                except (Problem, NotFound, RequestValidationError, StoreUnavailable) as error:
                    if not is_for_people(request):
                        raise
                    return await run_in_threadpool(in_words, renderer, request, error)

            return page

    return PageRoute


def same_site(address: str | None) -> str:
    """The address if it is a path of this site, else `/`: nobody is sent elsewhere by a link to us.

    Browsers read a backslash as a slash and drop control characters, so `/\\host` leads away as `//host`.
    """
    text = (address or "")[:_MOST_NEXT]
    is_path = text.startswith("/") and not text.startswith("//") and "\\" not in text
    if not is_path or any(character <= " " or character == "\x7f" for character in text):
        return "/"
    return "/" if urlsplit(text).path == SIGN_IN else text


def to(address: str) -> RedirectResponse:
    """See that page now."""
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


def in_words(renderer: Renderer, request: Request, error: Exception) -> Response:
    """The page that says why not; the sign-in for somebody who has to sign in first."""
    match error:
        case StoreUnavailable():
            _log.warning("page_unavailable", path=request.url.path, error=str(error))
            return renderer.page(request, "unavailable.html", status=503)
        case NotFound():
            problem = Problem(kinds.NOT_FOUND)
        case Problem():
            problem = error
        case _:
            problem = Problem(kinds.INVALID_PARAMETERS)
    if problem.kind is kinds.SIGN_IN_REQUIRED:
        return _sign_in(request)
    language = renderer.words(request).language
    answer = renderer.page(
        request,
        "refused.html",
        status=problem.kind.status,
        at="/" if problem.kind is kinds.UNKNOWN_PATH else _from(request),
        title=problem.kind.title.said(language),
        remedy=problem.kind.remedy.said(language),
        wait_s=problem.headers.get("Retry-After"),
    )
    answer.headers.update(problem.headers)
    return answer


def _sign_in(request: Request) -> Response:
    address = f"{SIGN_IN}?next={quote(_from(request), safe='/')}"
    if "hx-request" in request.headers:
        # A section of a page that is open: the whole page has to go to the sign-in.
        return Response(status_code=401, headers={"HX-Redirect": address, "Cache-Control": "no-store"})
    return to(address)


def _from(request: Request) -> str:
    """The page that the reader was on, to come back to."""
    if "hx-request" in request.headers:
        page = request.headers.get("hx-current-url")
    elif request.method in SAFE:
        page = str(request.url)
    else:
        page = request.headers.get("referer")
    parts = urlsplit(page or "")
    return same_site(parts.path + (f"?{parts.query}" if parts.query else ""))


def is_for_people(request: Request) -> bool:
    """Whether a person looks at the answer."""
    accept = request.headers.get("accept")
    wanted = negotiate.media_type(accept, ("application/problem+json", "text/html"))
    return wanted == "text/html" or "hx-request" in request.headers

"""What a request is refused for before anybody looks at it: too many, too large, a token in its address."""

from urllib.parse import parse_qsl

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problem_kinds as kinds
from api.auth.identity import Identity
from api.limits import Limits
from api.problems import Page, Problem, respond

MOST_BODY_BYTES = 262_144

_IN_ADDRESS = frozenset({"token", "access_token", "api_key", "apikey"})


class Limiting:
    """ASGI middleware that refuses by `Limits`, by size, and for a token in the address."""

    def __init__(self, app: ASGIApp, identity: Identity, limits: Limits, page: Page | None = None) -> None:
        self._app = app
        self._identity = identity
        self._limits = limits
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        problem = self._problem(request)
        if problem is None:
            await self._app(scope, receive, send)
            return
        if problem.kind is kinds.TOKEN_IN_ADDRESS:
            # No link of the answer may carry it on.
            request = Request({**scope, "query_string": b""})
        page = None if self._page is None else await self._page(request, problem)
        await (page or respond(request, problem))(scope, receive, send)

    def _problem(self, request: Request) -> Problem | None:
        address = self._identity.origin(request).address
        wait_s = self._limits.wait_s(request.method, request.scope["path"], address)
        if wait_s is not None:
            return Problem(kinds.TOO_MANY, headers={"Retry-After": str(wait_s)})
        query = request.scope["query_string"].decode("latin-1")
        if any(name.lower() in _IN_ADDRESS for name, _ in parse_qsl(query, keep_blank_values=True)):
            return Problem(kinds.TOKEN_IN_ADDRESS)
        length = request.headers.get("content-length")
        if length is None:
            if "transfer-encoding" in request.headers:
                return Problem(kinds.LENGTH_REQUIRED)
        elif not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return Problem(kinds.TOO_LARGE)
        return None

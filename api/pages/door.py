"""What the pages share that somebody comes in by: the browser's token, a session that begins anew."""

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from api.auth import cookies
from api.auth.identity import identity, session_secret
from api.context import Context
from api.pages.refusals import to
from api.pages.render import Renderer
from pulse.access import entry
from pulse.access.roles import PERMISSIONS, Permission


class Door:
    """Shows the forms of those who are not signed in yet, and lets them in."""

    def __init__(self, context: Context, renderer: Renderer) -> None:
        self._context = context
        self._renderer = renderer
        self.least = context.settings.password_min_length

    def show(self, request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page with a form, which carries the token of the browser's secret."""
        scheme = identity(request).of(request).origin.scheme
        secret = cookies.before(request, scheme)
        page = self._renderer.page(
            request,
            template,
            status=status,
            at=None,
            before=cookies.form_before(secret),
            least=self.least,
            **values,
        )
        cookies.give_before(page, scheme, secret)
        return page

    def sign_in(self, request: Request, name: str, password: str) -> entry.SignedIn | entry.Refused:
        """Begin a session: always a new one, never one that the browser brought along; that one ends."""
        here, context = identity(request), self._context
        address, now_us = here.origin(request).address, context.clock.now_us()
        agent = request.headers.get("user-agent", "")
        begun = entry.sign_in(
            context.db, name, password, now_us, address=address, agent=agent, lifetime=here.lifetime
        )
        former = session_secret(request)
        if isinstance(begun, entry.SignedIn) and former is not None:
            entry.sign_out(context.db, former, now_us, address)
        return begun

    def welcome(self, request: Request, begun: entry.SignedIn, wanted: str) -> Response:
        """Go where the person wanted to, with the session's cookie."""
        may_look = Permission.DEVICES_READ in PERMISSIONS[begun.user.role]
        answer = to("/account" if wanted == "/" and not may_look else wanted)
        cookies.give_session(answer, identity(request).origin(request).scheme, begun.secret)
        return answer

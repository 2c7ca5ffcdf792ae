"""Who a request comes from: an API token, a session's cookie, or nobody."""

from typing import NamedTuple

from fastapi import Request

from api import problem_kinds as kinds
from api.auth.address import Origin, Proxies, origin
from api.context import Context
from api.limits import Limits
from api.problems import Problem
from pulse.access import entry, secrets
from pulse.access.entry import Lifetime, Present
from pulse.access.roles import Actor, anonymous
from pulse.clock import HOUR_US, MINUTE_US

COOKIE = "pulse_session"
SECURE_COOKIE = "__Host-pulse_session"
"""Over TLS: browsers take this name only with Secure, Path=/ and no domain, so no neighbour can set it."""

_FORM = "form"


class Known(NamedTuple):
    """Who asks. `present` is set for a person with a browser; `form` is what its forms carry."""

    actor: Actor
    origin: Origin
    present: Present | None = None
    form: str | None = None


class Identity:
    """Finds out who asks; one for the application, to be used from any thread."""

    def __init__(self, context: Context, limits: Limits) -> None:
        settings = context.settings
        self._context = context
        self._limits = limits
        self._proxies = Proxies(settings.trusted_proxies)
        self.lifetime = Lifetime(
            settings.session_idle_minutes * MINUTE_US, settings.session_max_hours * HOUR_US
        )

    def of(self, request: Request) -> Known:
        """Who asks; worked out once a request. Raises the problem of a token that does not hold."""
        known: Known | None = getattr(request.state, "known", None)
        if known is None:
            known = request.state.known = self._of(request)
        return known

    def is_still(self, request: Request, actor: Actor) -> bool:
        """Whether a request that is being answered for long still comes from `actor`, with all its powers.

        Asking is no use of the session: an open stream does not keep it from becoming unused.
        """
        context, now_us = self._context, self._context.clock.now_us()
        token = _bearer(request)
        if token is not None:
            return entry.of_token(context.db, token, now_us, actor.origin, is_use=False) == actor
        secret = session_secret(request)
        if secret is None:
            return False
        present = entry.of_session(context.db, secret, now_us, self.lifetime, is_use=False)
        return present is not None and entry.of_user(present.user, actor.origin) == actor

    def origin(self, request: Request) -> Origin:
        """Where the request comes from."""
        peer = request.client.host if request.client else ""
        return origin(
            self._proxies,
            peer,
            request.url.scheme,
            request.headers.get("host", ""),
            forwarded_for=request.headers.getlist("x-forwarded-for"),
            forwarded_proto=request.headers.get("x-forwarded-proto"),
            forwarded_host=request.headers.get("x-forwarded-host"),
        )

    def _of(self, request: Request) -> Known:
        context, came = self._context, self.origin(request)
        now_us = context.clock.now_us()
        token = _bearer(request)
        if token is not None:
            actor = entry.of_token(context.db, token, now_us, came.address)
            if actor is None:
                # Only wrong ones count: a neighbour behind the same address with a good one is let in.
                wait_s = self._limits.wrong_token_s(came.address)
                if wait_s is not None:
                    raise Problem(kinds.TOO_MANY, headers={"Retry-After": str(wait_s)})
                entry.refused_token(context.db, now_us, came.address)
                raise Problem(kinds.BAD_TOKEN, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
            return Known(actor, came)
        secret = session_secret(request)
        present = None if secret is None else entry.of_session(context.db, secret, now_us, self.lifetime)
        if secret is None or present is None:
            return Known(anonymous(came.address, may_look=context.settings.public_view), came)
        actor = entry.of_user(present.user, came.address)
        return Known(actor, came, present, secrets.derived(secret, _FORM))


def session_secret(request: Request) -> str | None:
    """The secret of the session's cookie, if the request has one.

    Over TLS only the name counts that nobody without TLS can set.
    """
    scheme = identity(request).origin(request).scheme
    return request.cookies.get(SECURE_COOKIE if scheme == "https" else COOKIE)


def identity(request: Request) -> Identity:
    """The application's."""
    found: Identity = request.app.state.identity
    return found


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem(kinds.BAD_TOKEN, headers={"WWW-Authenticate": "Bearer"})
    return token.strip()

"""Templates to responses: language, theme, who reads, security headers, and addresses of our own files."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.auth.identity import Known, identity
from api.pages import labels
from api.pages.bars import TOPS
from api.pages.words import LANGUAGES, Language, Times, Words, chosen, words
from pulse.clock import to_iso
from pulse.ledger.model import FOREVER
from pulse.settings import Settings

STATIC = Path(__file__).resolve().parents[1] / "static"
THEMES = ("auto", "light", "dark")
LANGUAGE_HEADER = "Pulse-Language"
_YEAR_S = 365 * 86_400

# Everything comes from this server; nothing inline, nothing evaluated.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie",
}


class Reader(NamedTuple):
    """How the person who asks wants to read: asked for in the address, else remembered in a cookie.

    A page that refreshes its sections says by a header what language it is in, so that it never mixes two.
    """

    language: Language
    theme: str

    @classmethod
    def of(cls, request: Request) -> "Reader":
        """The wishes of a request."""
        theme = request.query_params.get("theme") or request.cookies.get("theme") or ""
        return cls(
            chosen(
                request.headers.get(LANGUAGE_HEADER),
                request.query_params.get("lang"),
                request.cookies.get("lang"),
            ),
            theme if theme in THEMES else "auto",
        )


class Renderer:
    """One Jinja environment for each language."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.times = Times(settings.timezone)
        self._environments = {language: self._environment(words(language)) for language in LANGUAGES}

    def page(
        self, request: Request, template: str, *, status: int = 200, at: str | None = None, **values: object
    ) -> HTMLResponse:
        """A whole page or a fragment; wishes given in the address are remembered.

        `at` is the page's own address where it answers a form that was sent to another one. The page shows
        who reads it if the request's guard has asked.
        """
        reader = Reader.of(request)
        path = at or request.url.path
        known: Known | None = getattr(request.state, "known", None)
        body = (
            self._environments[reader.language]
            .get_template(template)
            .render(
                reader=reader,
                language_links={language: _with(request, path, lang=language) for language in LANGUAGES},
                theme_links={theme: _with(request, path, theme=theme) for theme in THEMES},
                path=path,
                me=None if known is None or known.present is None else known.present.user,
                form=None if known is None else known.form,
                may=(lambda permission: False) if known is None else known.actor.may,
                **values,
            )
        )
        response = HTMLResponse(body, status_code=status, headers=_HEADERS)
        over_tls = identity(request).origin(request).scheme == "https"
        for name, value, choices in (
            ("lang", reader.language, LANGUAGES),
            ("theme", reader.theme, THEMES),
        ):
            if request.query_params.get(name) in choices and LANGUAGE_HEADER not in request.headers:
                response.set_cookie(
                    name, value, max_age=_YEAR_S, samesite="lax", httponly=True, secure=over_tls
                )
        return response

    def words(self, request: Request) -> Words:
        """The catalogue of the language in which the request is answered."""
        return words(Reader.of(request).language)

    def _environment(self, catalogue: Words) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        install: Callable[..., None] = environment.install_gettext_callables  # type: ignore[attr-defined]
        install(catalogue.gettext, catalogue.ngettext, newstyle=True)
        environment.globals.update(
            asset=asset,
            demo=self._settings.demo,
            forever=FOREVER,
            iso=to_iso,
            labels=labels.Labels(catalogue),
            times=self.times,
            tops=TOPS,
            words=catalogue,
        )
        return environment


@cache
def asset(name: str) -> str:
    """Address of a file of `api/static`, with its digest, so that browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _with(request: Request, path: str, **changes: Any) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    return f"{path}?{urlencode([*kept, *changes.items()])}"

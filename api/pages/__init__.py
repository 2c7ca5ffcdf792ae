"""The pages for people, rendered here and nowhere else: figures, devices, sign-in, accounts, audit log.

What changes while a page is open is fetched again as a fragment of the same templates, so the browser
holds no second copy of any rule. `/static` serves `api/static`; the app mounts it.
"""

from fastapi import APIRouter

from api.context import Context
from api.pages import account, audit_page, codes, entrance, people
from api.pages.render import Renderer
from api.pages.router import router

__all__ = ["routers"]


def routers(context: Context) -> list[APIRouter]:
    """The routes of every page; they appear in no API description."""
    renderer = Renderer(context.settings)
    return [
        router(context, renderer),
        *(part.router(context, renderer) for part in (entrance, codes, account, people, audit_page)),
    ]

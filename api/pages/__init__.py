"""The pages for people, rendered here and nowhere else: figures, devices, sign-in, accounts, audit log.

What changes while a page is open is fetched again as a fragment of the same templates, so the browser
holds no second copy of any rule. `/static` serves `api/static`; the app mounts it.
"""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.context import Context
from api.pages import account, audit_page, codes, entrance, people, sharing_page, silences, upkeep
from api.pages.refusals import in_words, is_for_people
from api.pages.render import Renderer
from api.pages.router import router
from api.problems import Page, Problem

__all__ = ["refusals", "routers"]


def routers(context: Context) -> list[APIRouter]:
    """The routes of every page; they appear in no API description."""
    renderer = Renderer(context.settings)
    return [
        router(context, renderer),
        *(
            part.router(context, renderer)
            for part in (entrance, codes, account, people, audit_page, silences, sharing_page, upkeep)
        ),
    ]


def refusals(context: Context) -> Page:
    """Refusals from outside every page's route, as pages for people; below /api/ people read problems too."""
    renderer = Renderer(context.settings)

    async def page(request: Request, problem: Problem) -> Response | None:
        if not is_for_people(request) or request.url.path.startswith("/api/"):
            return None
        return await run_in_threadpool(in_words, renderer, request, problem)

    return page

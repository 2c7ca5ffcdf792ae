"""The web application: endpoints, pages, errors, headers and the live hub, put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from pydantic.json_schema import models_json_schema

import pulse
from api import problems
from api.answers import problem_answer
from api.auth.guard import FORM_HEADER, Allowed, check_guarded, guard_of
from api.auth.guard import routes as guarded_routes
from api.auth.identity import COOKIE, SECURE_COOKIE, Identity
from api.context import Context
from api.headers import SecurityHeaders
from api.heads import Heads
from api.limiting import Limiting
from api.limits import Limits
from api.live import Hub
from api.metrics import Measuring, Metrics
from api.models import ProblemAnswer
from api.present import Present
from api.problem_kinds import FORBIDDEN, SIGN_IN_REQUIRED, TOO_MANY
from api.routes import (
    audit,
    catalogue,
    collector,
    coverage,
    credentials,
    data_sharing,
    device,
    devices,
    events,
    explain,
    health,
    indicators,
    lives,
    maintenance,
    outlets,
    policies,
    published,
    pulling,
    reconciliation,
    reference,
    sessions,
    shared,
    statistics,
    tokens,
    users,
)

STATIC = Path(__file__).parent / "static"

DESCRIPTION = """设备在线率等指标，每个数字都可解释、可重算。时间为 ISO 8601（UTC）；错误为 RFC 9457。

Indicators of smart communities; every number can be explained and worked out again. Times are ISO 8601
in UTC, errors RFC 9457 problem details in the language of Accept-Language. Parameters that an endpoint
does not have are refused.
"""


def create_app(context: Context, *, pages: bool = True) -> FastAPI:
    """The application over an opened `context`, which stays the caller's; without `pages` the API only."""
    hub = Hub(context.db)
    present = Present(context)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(hub.run())
        try:
            yield
        finally:
            hub.close()
            await task

    app = FastAPI(
        title="社区脉搏 Community Pulse API",
        version=pulse.__version__,
        description=DESCRIPTION,
        openapi_url=reference.OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.hub = hub
    app.state.context = context
    limits = Limits(context.settings.rate_limit)
    app.state.identity = Identity(context, limits)
    metrics = Metrics(context, present, hub)
    page = _refusals(context) if pages else None
    problems.install(app, page)
    # The last one added is the first to see a request.
    app.add_middleware(Heads)
    app.add_middleware(Limiting, identity=app.state.identity, limits=limits, page=page)
    app.add_middleware(SecurityHeaders, identity=app.state.identity)
    app.add_middleware(Measuring, metrics=metrics)
    routers = [
        indicators.router(context),
        data_sharing.router(context),
        explain.router(context),
        published.router(context),
        devices.router(context, present),
        device.router(context),
        statistics.router(context, present),
        events.router(hub),
        collector.router(context),
        coverage.router(context),
        maintenance.router(context),
        lives.router(context),
        users.router(context),
        sessions.router(context),
        tokens.router(context),
        credentials.router(context),
        policies.router(context),
        catalogue.router(context),
        outlets.router(context),
        pulling.router(context),
        shared.router(context),
        reconciliation.router(context),
        audit.router(context),
        health.router(context, metrics),
        reference.router(),
    ]
    if pages:
        from api.pages import routers as of_pages  # noqa: PLC0415 - its templates are read when it is imported

        routers += of_pages(context)
    for router in routers:
        app.include_router(router)
    if STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=STATIC), name="static")
    check_guarded(app)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = describe()
            _with_problems(schema)
            _with_nulls(schema, routers)
            _with_security(schema, app)
        return describe()

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _refusals(context: Context) -> problems.Page:
    from api.pages import refusals  # noqa: PLC0415 - its templates are read when it is imported

    return refusals(context)


def _with_problems(schema: dict[str, Any]) -> None:
    """Describe the form of problems, which every endpoint's errors refer to."""
    _, definitions = models_json_schema(
        [(ProblemAnswer, "serialization")], ref_template="#/components/schemas/{model}"
    )
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


def _with_security(schema: dict[str, Any], app: FastAPI) -> None:
    """Say how one signs in; whoever does not may still see what the installation shows to everybody."""
    schema["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "访问令牌 / API token"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "网页会话；经 https 时名为 / the session of a browser; over https named "
            f"{SECURE_COOKIE}. 更改须带请求头 / changes need the header {FORM_HEADER}",
        },
    }
    schema["security"] = [{"token": []}, {"session": []}, {}]
    for route in guarded_routes(app):
        if not route.include_in_schema:
            continue
        asks = isinstance(guard_of(route), Allowed)
        for method in route.methods or ():
            described = schema["paths"][route.path][method.lower()]["responses"]
            for kind in (SIGN_IN_REQUIRED, FORBIDDEN, TOO_MANY) if asks else (TOO_MANY,):
                described.setdefault(str(kind.status), problem_answer(kind))


def _with_nulls(schema: dict[str, Any], routers: list[APIRouter]) -> None:
    """Give the examples of answers their null members back, which FastAPI leaves out."""
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute) and route.include_in_schema:
            content = route.responses[200]["content"]
            if "application/json" in content:
                for method in route.methods or ():
                    described = schema["paths"][route.path][method.lower()]["responses"]["200"]["content"]
                    described["application/json"]["example"] = content["application/json"]["example"]

"""What the API says of itself: kinds of problems, and a documentation page without anything from outside."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse

from api import params
from api.answers import answers, json
from api.auth.guard import Open
from api.models import ProblemKindAnswer
from api.problem_kinds import DOCS_MISSING, INVALID_PARAMETERS, KINDS, NOT_FOUND, Kind
from api.problems import Problem

OPENAPI_PATH = "/api/v1/openapi.json"
SWAGGER = Path(__file__).parent.parent / "static" / "vendor" / "swagger-ui"
_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")

_PAGE = """<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>社区脉搏 API · Community Pulse API</title>
<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">
</head>
<body>
<main id="docs"></main>
<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = f"""SwaggerUIBundle({{
  url: "{OPENAPI_PATH}",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
}});
"""


def router(swagger: Path = SWAGGER) -> APIRouter:
    """The endpoints that describe the API; `swagger` is the folder of Swagger UI's files."""
    routes = APIRouter(
        dependencies=[
            Depends(Open("how to use the API is no secret, and whoever is refused must be able to read why")),
            Depends(params.only_known),
        ]
    )

    @routes.get(
        "/api/v1/problems/{slug}",
        tags=["说明 / reference"],
        summary="一类问题的说明 / a kind of problem",
        response_model=ProblemKindAnswer,
        responses=answers(
            _described(INVALID_PARAMETERS),
            INVALID_PARAMETERS,
            NOT_FOUND,
            description="含义与处理办法 / what it means and what to do",
        ),
    )
    def problem(
        slug: Annotated[
            str,
            InPath(
                max_length=params.MAX_VALUE,
                description="type 的末段 / the end of `type`",
                examples=[INVALID_PARAMETERS.slug],
            ),
        ],
    ) -> Response:
        """错误回答中 `type` 指向的说明。What the `type` of a problem points to."""
        kind = KINDS.get(slug)
        if kind is None:
            raise Problem(NOT_FOUND, detail=f"{slug[:64]!r}: {', '.join(KINDS)}")
        return json(_described(kind))

    @routes.get("/docs", include_in_schema=False)
    def page() -> Response:
        if not all((swagger / name).is_file() for name in _FILES):
            raise Problem(DOCS_MISSING)
        return HTMLResponse(_PAGE)

    @routes.get("/docs/start.js", include_in_schema=False)
    def start() -> Response:
        return Response(_START, media_type="text/javascript")

    return routes


def _described(kind: Kind) -> dict[str, object]:
    return {
        "type": kind.type,
        "status": kind.status,
        "title": kind.title._asdict(),
        "remedy": kind.remedy._asdict(),
    }

"""What the endpoints share: answers as JSON, and the descriptions of what every endpoint may answer."""

from typing import Any

import msgspec
from fastapi import Response

from api import problem_kinds as kinds
from api.problem_kinds import Kind
from api.problems import MEDIA_TYPE, Fault

PROBLEM_REF = "#/components/schemas/ProblemAnswer"

Responses = dict[int | str, dict[str, Any]]


def json(body: object, headers: dict[str, str] | None = None) -> Response:
    """`body` as JSON; what is asked again may have changed."""
    return Response(
        msgspec.json.encode(body),
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def answers(example: object, *problems: Kind, description: str, **media: object) -> Responses:
    """The `responses` of an endpoint: an example of its answer, other media types, and its problems."""
    content: dict[str, Any] = {"application/json": {"example": example}} if example is not None else {}
    content |= {name: {"example": text, "schema": {"type": "string"}} for name, text in media.items()}
    described: Responses = {200: {"description": description, "content": content}}
    for kind in (*problems, kinds.INTERNAL):
        described[kind.status] = problem_answer(kind)
    return described


def problem_answer(kind: Kind) -> dict[str, Any]:
    """The description of a problem as an answer."""
    return {
        "description": f"{kind.title.zh} / {kind.title.en}",
        "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REF}, "example": problem_example(kind)}},
    }


def problem_example(kind: Kind) -> dict[str, Any]:
    """What a problem of this kind looks like, in English."""
    example: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title.en,
        "status": kind.status,
        "detail": kind.remedy.en,
        "instance": "/api/v1/…",
    }
    if kind is kinds.INVALID_PARAMETERS:
        fault = Fault("know_at", "unknown_parameter", None, {"known": "at, from, to, known_at"})
        shown = fault.shown("en")
        example |= {"detail": f"know_at: {shown['detail']}", "errors": [shown]}
    return example

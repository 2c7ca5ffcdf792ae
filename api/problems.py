"""Errors as RFC 9457 problem details: the one module that turns errors into HTTP answers."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import problem_kinds as kinds
from api.negotiate import Language, language
from api.problem_kinds import FAULTS, Kind
from pulse import logs
from pulse.errors import BadInput, Conflict, NotFound, PulseError, StoreUnavailable

MEDIA_TYPE = "application/problem+json"
_SHOWN = 80

_log = logs.get(__name__)


class Fault(NamedTuple):
    """What is wrong with one parameter: a code of `FAULTS` and the words that its text needs."""

    parameter: str
    code: str
    value: str | None = None
    words: Mapping[str, str] = {}

    def shown(self, language: Language) -> dict[str, str]:
        """The member of `errors`."""
        shown = {
            "parameter": self.parameter,
            "code": self.code,
            "detail": FAULTS[self.code].said(language).format(**self.words),
        }
        if self.value is not None:
            shown["value"] = self.value if len(self.value) <= _SHOWN else self.value[: _SHOWN - 1] + "…"
        return shown


class Problem(PulseError):
    """Ends a request with a problem of this kind."""

    def __init__(
        self,
        kind: Kind,
        *,
        detail: str | None = None,
        faults: Sequence[Fault] = (),
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{kind.slug}: {detail or ', '.join(f'{f.parameter} {f.code}' for f in faults)}")
        self.kind = kind
        self.detail = detail
        self.faults = tuple(faults)
        self.members = dict(members or {})
        self.headers = dict(headers or {})


Page = Callable[[Request, Problem], Awaitable[Response | None]]
"""A page in the place of problem details, None for a request that is not a person's."""


class Checks:
    """Collects the faults of a request, so that all are told at once."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def refuse(self, parameter: str, code: str, value: str | None = None, **words: str) -> None:
        """Note that a parameter cannot be accepted."""
        self.faults.append(Fault(parameter, code, value, words))

    def settle(self) -> None:
        """Raise the problem that names every fault, if there is any."""
        if self.faults:
            raise Problem(kinds.INVALID_PARAMETERS, faults=self.faults)


def respond(request: Request, problem: Problem) -> Response:
    """The answer to `request` for a problem, in the language that it prefers."""
    wanted = language(request.headers.get("accept-language"))
    errors = [fault.shown(wanted) for fault in problem.faults]
    detail = problem.detail or "; ".join(f"{e['parameter']}: {e['detail']}" for e in errors)
    body: dict[str, Any] = {
        "type": problem.kind.type,
        "title": problem.kind.title.said(wanted),
        "status": problem.kind.status,
        "detail": detail or problem.kind.remedy.said(wanted),
        # Without the query, which may hold what must not be repeated into logs.
        "instance": quote(request.scope["path"]),
        **problem.members,
    }
    if errors:
        body["errors"] = errors
    headers = {
        "Content-Language": "zh-CN" if wanted == "zh" else "en",
        "Vary": "Accept-Language",
        "Cache-Control": "no-store",
        **problem.headers,
    }
    return Response(msgspec.json.encode(body), problem.kind.status, headers, MEDIA_TYPE)


def install(app: FastAPI, page: Page | None = None) -> None:
    """Answer every error of `app` with a problem; people who ask for a page that is not there get `page`."""

    async def _of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        problem = _of_status(error)
        answer = await page(request, problem) if page is not None else None
        return respond(request, problem) if answer is None else answer

    for error, handler in (
        (Problem, _of_problem),
        (RequestValidationError, _of_validation),
        (HTTPException, _of_http),
        (PulseError, _of_pulse),
        (Exception, _of_surprise),
    ):
        app.add_exception_handler(error, handler)


async def _of_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class only
    return respond(request, error)


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    faults = [_fault(found) for found in error.errors()]
    return respond(request, Problem(kinds.INVALID_PARAMETERS, faults=faults))


def _fault(found: Mapping[str, Any]) -> Fault:
    """A fault from one of pydantic's, by its documented type."""
    parameter = str(found["loc"][1] if len(found["loc"]) > 1 else found["loc"][0])
    if found["type"] == "json_invalid":
        return Fault("body", "not_json")
    # A text with half a character in it could not be shown back.
    given = None if found["type"] == "missing" else str(found["input"]).encode(errors="replace").decode()
    limits = found.get("ctx", {})
    match found["type"]:
        case "missing":
            return Fault(parameter, "missing")
        case "extra_forbidden":
            return Fault(parameter, "unknown_member")
        case "int_parsing" | "int_from_float" | "int_parsing_size":
            return Fault(parameter, "not_a_number", given)
        case "greater_than_equal":
            return Fault(parameter, "out_of_range", given, {"bounds": f">= {limits['ge']}"})
        case "less_than_equal":
            return Fault(parameter, "out_of_range", given, {"bounds": f"<= {limits['le']}"})
        case "string_too_long":
            return Fault(parameter, "too_long", given, {"most": str(limits["max_length"])})
        case "literal_error" | "enum":
            return Fault(parameter, "unknown_value", given, {"known": str(limits["expected"])})
        case _:
            return Fault(parameter, "unusable", given, {"reason": str(found["msg"])})


def _of_status(error: HTTPException) -> Problem:
    headers = error.headers
    match error.status_code:
        case 404:
            return Problem(kinds.UNKNOWN_PATH, headers=headers)
        case 405:
            return Problem(kinds.METHOD_NOT_ALLOWED, headers=headers)
        case status:
            kind = kinds.BAD_REQUEST._replace(status=status)
            return Problem(kind, detail=str(error.detail), headers=headers)


async def _of_pulse(request: Request, error: Exception) -> Response:
    match error:
        case BadInput():
            fault = Fault(error.where or "", "unusable", None, {"reason": error.reason})
            return respond(request, Problem(kinds.INVALID_PARAMETERS, faults=[fault]))
        case NotFound():
            return respond(request, Problem(kinds.NOT_FOUND, detail=str(error)))
        case Conflict():
            return respond(request, Problem(kinds.CONFLICT, detail=str(error)))
        case StoreUnavailable():
            _log.warning("store_unavailable", path=request.url.path, error=str(error))
            return respond(request, Problem(kinds.UNAVAILABLE, headers={"Retry-After": "5"}))
        case _:
            return await _of_surprise(request, error)


async def _of_surprise(request: Request, error: Exception) -> Response:
    request_id = uuid.uuid4().hex
    _log.error("request_failed", path=request.url.path, request_id=request_id, exc_info=error)
    return respond(request, Problem(kinds.INTERNAL, members={"request_id": request_id}))

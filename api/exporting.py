"""What lists have in common: JSON by pages or CSV at once, and that a CSV leaves a trace in the audit log."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response

from api import csvfile
from api.context import Context
from api.detail import Asked
from api.negotiate import media_type
from pulse.access.roles import Actor
from pulse.clock import to_iso
from pulse.stores.relational import audit

CSV = "text/csv"
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


def wants_csv(request: Request, format_: str | None) -> bool:
    """Whether the list is to be CSV, by `format` or else by the Accept header."""
    if format_ is not None:
        return format_ == "csv"
    return media_type(request.headers.get("accept"), ["application/json", CSV]) == CSV


def note(
    context: Context, actor: Actor, subject: str, filters: Mapping[str, Any], asked: Asked, count: int
) -> None:
    """Write into the audit log that a list left the product; without that it does not leave."""
    said = {
        "filters": {name: value for name, value in filters.items() if value},
        "at": to_iso(asked.at_us),
        "count": count,
    }
    with context.db.write() as connection:
        audit.append(
            connection,
            actor,
            "export",
            subject,
            context.clock.now_us(),
            community=filters.get("community"),
            after=said,
        )


def csv_answer(
    name: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], following: str | None, at_us: int
) -> Response:
    """The rows as a file `{name}-{at}.csv`; `following` is the cursor of the rest."""
    stamp = to_iso(at_us).replace(":", "").replace("-", "")
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}-{stamp}.csv"',
        "Vary": "Accept",
    }
    if following is not None:
        headers["X-Next-Cursor"] = following
    return Response(csvfile.render(columns, rows), headers=headers, media_type=f"{CSV}; charset=utf-8")

"""The audit log for people: filters, pages, what changed in each entry, the chain, the export."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api import csvfile
from api.auth.guard import Allowed, forbidden
from api.context import Context
from api.pages.board import read_names
from api.pages.forms import Posted, SignedIn
from api.pages.labels import ACTIONS
from api.pages.refusals import page_route
from api.pages.render import Renderer
from api.pages.words import Times
from pulse.access.chain import Entry
from pulse.access.roles import Actor, Permission
from pulse.access.showing import COLUMNS, flat
from pulse.access.verifying import verify
from pulse.chain import Verified
from pulse.clock import DAY_US
from pulse.stores.relational import audit
from pulse.stores.relational.audit import Filter

ADDRESS = "/audit"
ROWS = 50
_AT_ONCE = 1000
_May = Annotated[Actor, Depends(Allowed(Permission.AUDIT_READ))]
_Text = Annotated[str, Query(max_length=300)]


class Changed(NamedTuple):
    """A member that an entry tells of; `before` and `after` are None where the entry says nothing."""

    name: str
    before: Any
    after: Any


class Asked(NamedTuple):
    """The filters as they stand in the form; empty asks for all. Days include their end."""

    who: str = ""
    action: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""

    @property
    def query(self) -> str:
        """As a query string without what filters nothing."""
        return urlencode({name: value for name, value in self._asdict().items() if value})

    def filter(self, times: Times, actor: Actor) -> Filter:
        """As the log understands them, within the communities of whom asks."""
        who = self.who.strip()
        since, until = times.parsed_day_us(self.since), times.parsed_day_us(self.until)
        return Filter(
            actor=(who if ":" in who or who == "anonymous" else f"user:{who}") if who else None,
            action=self.action or None,
            outcome=self.outcome or None,
            from_us=since,
            to_us=None if until is None else until + DAY_US,
            communities=actor.communities,
        )


def changes(entry: Entry) -> list[Changed]:
    """The members of an entry: those that differ where it has both sides, else what its one side says."""
    before: dict[str, Any] = json.loads(entry.before or "{}")
    after: dict[str, Any] = json.loads(entry.after or "{}")
    names = list(dict.fromkeys([*before, *after]))
    both = entry.before is not None and entry.after is not None
    return [
        Changed(name, before.get(name), after.get(name))
        for name in names
        if (before.get(name) != after.get(name) if both else {**before, **after}[name] not in ("", []))
    ]


def asked_for(
    who: _Text = "", action: _Text = "", outcome: _Text = "", since: _Text = "", until: _Text = ""
) -> Asked:
    """The filters of the address."""
    return Asked(who, action, outcome, since, until)


_Filters = Annotated[Asked, Depends(asked_for)]


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes; who has only some communities reads the entries about them."""
    routes = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, route_class=page_route(renderer)
    )
    times = renderer.times

    def show(
        request: Request,
        actor: Actor,
        asked: Asked,
        *,
        before: int | None = None,
        checked: Verified | None = None,
    ) -> HTMLResponse:
        with context.db.read() as connection:
            wanted = asked.filter(times, actor)
            found = audit.listing(connection, wanted, before_number=before, limit=ROWS + 1)
        entries = found[:ROWS]
        following = None
        if len(found) > ROWS:
            following = f"{ADDRESS}?{urlencode({'before': entries[-1].number})}&{asked.query}".rstrip("&")
        return renderer.page(
            request,
            "audit.html",
            at=ADDRESS,
            entries=[(entry, changes(entry)) for entry in entries],
            names=read_names(context),
            asked=asked,
            actions=ACTIONS,
            outcomes=(audit.DONE, audit.REFUSED, audit.FAILED),
            before=before,
            following=following,
            first=f"{ADDRESS}?{asked.query}".rstrip("?"),
            csv=f"/audit.csv?{asked.query}".rstrip("?"),
            whole=actor.communities is None,
            checked=checked,
            now_us=context.clock.now_us(),
        )

    @routes.get(ADDRESS)
    def page(
        request: Request, actor: _May, asked: _Filters, before: Annotated[int | None, Query(ge=1)] = None
    ) -> Response:
        return show(request, actor, asked, before=before)

    @routes.post("/audit/verify")
    def check(request: Request, actor: _May, _person: SignedIn, _fields: Posted) -> Response:
        if actor.communities is not None:
            raise forbidden(request, actor, "audit")
        with context.db.read() as connection:
            checked = verify(connection)
        return show(request, actor, Asked(), checked=checked)

    @routes.get("/audit.csv")
    def export(actor: _May, asked: _Filters) -> Response:
        wanted = asked.filter(times, actor)
        with context.db.write() as connection:
            rows = [flat(entry) for entry in _all(connection, wanted)]
            said = {name: value for name, value in asked._asdict().items() if value}
            after = {"entries": len(rows), "filters": said}
            audit.append(connection, actor, "audit.export", "audit", context.clock.now_us(), after=after)
        return Response(
            csvfile.render(COLUMNS, rows),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": 'attachment; filename="audit.csv"',
                "Cache-Control": "no-store",
            },
        )

    return routes


def _all(connection: Connection, wanted: Filter) -> Iterator[Entry]:
    before = None
    while True:
        entries = audit.listing(connection, wanted, before_number=before, limit=_AT_ONCE)
        yield from entries
        if len(entries) < _AT_ONCE:
            return
        before = entries[-1].number

"""Maintenance on the pages: what stands, the form with its preview, and what a second person decides."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api.auth.guard import Allowed
from api.context import Context
from api.pages.board import read_names
from api.pages.forms import Faults, Fields, Posted, SignedIn, wrong
from api.pages.refusals import page_route, to
from api.pages.render import Renderer
from api.pages.words import Times
from pulse.access import maintenance as recording
from pulse.access.roles import Actor, Permission, person
from pulse.access.showing_maintenance import OVER, Wish, phase, plan_of
from pulse.clock import HOUR_US, MINUTE_US
from pulse.errors import BadInput, Conflict, NotFound
from pulse.indicators import effect as effects
from pulse.indicators.effect import Effect
from pulse.indicators.previewing import Preview, effect_of, previewed
from pulse.registry.plans import Reach
from pulse.stores.relational import maintenance
from pulse.stores.relational.decisions import PENDING, RECORDED
from pulse.stores.relational.maintenance import Entry

ADDRESS = "/maintenance"
_MOST = 200
_TEXTS = ("device", "kind", "community", "building", "tag", "from", "to", "daily_from", "daily_to", "reason")
_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]
_MayRecord = Annotated[Actor, Depends(Allowed(Permission.MAINTENANCE_WRITE))]
_Id = Annotated[int, Path(ge=1, le=2**62)]
_Decide = Callable[[Connection, int], Entry]


class Row(NamedTuple):
    """An entry as a card shows it; `stands` is a slug of `labels.MAINTENANCE`."""

    entry: Entry
    stands: str
    mine: bool
    may_decide: bool


class Asked(NamedTuple):
    """What was typed into the form."""

    texts: Mapping[str, str]
    weekdays: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Fields) -> "Asked":
        """The fields of a form that was sent."""
        return cls({name: fields.one(name).strip() for name in _TEXTS}, tuple(fields.many("weekdays")))

    def wish(self, times: Times) -> Wish:
        """What is wished for, local times as instants. Raises `BadInput`."""
        texts = self.texts
        return Wish(
            Reach(*(texts[name] or None for name in Reach._fields)),
            _instant(texts["from"], "from", times),
            _instant(texts["to"], "to", times),
            texts["reason"],
            tuple(int(day) for day in self.weekdays if day in "1234567"),
            texts["daily_from"] or None,
            texts["daily_to"] or None,
        )


class Views:
    """The pages; `faults` are what was wrong in the form that came before."""

    def __init__(self, context: Context, renderer: Renderer) -> None:
        self._context = context
        self._renderer = renderer

    def everything(
        self,
        request: Request,
        actor: Actor,
        *,
        status: int = 200,
        asked: Asked | None = None,
        preview: Preview | None = None,
        faults: Faults | None = None,
        faulty: int | None = None,
        why: str = "",
    ) -> HTMLResponse:
        """The list, the form, and with `preview` what the form's entry would change.

        `faults` are the form's, or those of the card of the entry `faulty`, into which `why` was typed.
        """
        now_us = self._context.clock.now_us()
        with self._context.db.read() as connection:
            found = maintenance.listing(connection, actor.communities, limit=_MOST)
            rows = [_row(connection, actor, entry, now_us) for entry in found]
        waiting = [row for row in rows if row.stands == PENDING]
        standing = [row for row in rows if row.entry.status == RECORDED and row.stands != OVER]
        return self._renderer.page(
            request,
            "maintenance.html",
            status=status,
            at=ADDRESS,
            waiting=waiting,
            standing=sorted(standing, key=lambda row: row.entry.plan.start),
            past=[row for row in rows if row not in waiting and row not in standing],
            names=read_names(self._context, actor.communities),
            sees_all=actor.communities is None,
            asked=asked or self._blank(request, now_us),
            preview=preview,
            compared=None if preview is None else effects.shown(preview.effect),
            faults=faults or Faults(),
            faulty=faulty,
            why=why,
            who=_who,
            now_us=now_us,
            late_us=self._context.settings.maintenance_backdate_us(),
            done=request.query_params.get("done"),
        )

    def one(self, request: Request, actor: Actor, entry_id: int) -> HTMLResponse:
        """An entry, and what it would change while it waits. Raises `NotFound`."""
        now_us = self._context.clock.now_us()
        with self._context.db.read() as connection:
            entry = recording.seen(connection, actor, entry_id)
            row = _row(connection, actor, entry, now_us)
        effect: Effect | None = None
        if row.stands == PENDING:
            effect = effect_of(self._context.db, self._context.rate.library, actor, entry)
        return self._renderer.page(
            request,
            "maintenance_entry.html",
            row=row,
            effect=effect,
            compared=None if effect is None else effects.shown(effect),
            names=read_names(self._context, actor.communities),
            faults=Faults(),
            faulty=None,
            why="",
            who=_who,
            now_us=now_us,
        )

    def looked_at(self, actor: Actor, asked: Asked) -> Preview:
        """What the form's entry would change. Raises `BadInput`."""
        context = self._context
        settings = context.settings
        return previewed(
            context.db,
            context.rate.library,
            actor,
            plan_of(asked.wish(self._renderer.times), settings.timezone),
            context.clock.now_us(),
            settings.maintenance_backdate_us(),
        )

    def _blank(self, request: Request, now_us: int) -> Asked:
        """An empty form: two hours from now on, of the device whose page the reader comes from."""
        begin = now_us - now_us % MINUTE_US
        texts = dict.fromkeys(_TEXTS, "")
        texts["device"] = request.query_params.get("device", "")[:64]
        for name, at_us in (("from", begin), ("to", begin + 2 * HOUR_US)):
            texts[name] = f"{self._renderer.times.moment(at_us):%Y-%m-%dT%H:%M}"
        return Asked(texts)


def router(context: Context, renderer: Renderer) -> APIRouter:
    """The routes."""
    routes = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, route_class=page_route(renderer)
    )
    views = Views(context, renderer)

    def decided(
        request: Request, actor: Actor, entry: int, decide: _Decide, done: str, why: str = ""
    ) -> Response:
        _note_stranger(context, actor, entry)
        try:
            with context.db.write() as connection:
                decide(connection, context.clock.now_us())
        except (BadInput, Conflict) as error:
            status = 409 if isinstance(error, Conflict) else 422
            faults = wrong(error, renderer.words(request).language)
            return views.everything(request, actor, status=status, faulty=entry, faults=faults, why=why)
        return to(f"{ADDRESS}?done={done}#m-{entry}")

    @routes.get(ADDRESS)
    def listed(request: Request, actor: _Reader) -> Response:
        return views.everything(request, actor)

    @routes.get("/maintenance/{entry_id}")
    def one(request: Request, entry_id: _Id, actor: _Reader) -> Response:
        try:
            return views.one(request, actor, entry_id)
        except NotFound:
            _note_stranger(context, actor, entry_id)
            raise

    @routes.post("/maintenance/preview")
    def preview(request: Request, actor: _MayRecord, _person: SignedIn, fields: Posted) -> Response:
        asked = Asked.of(fields)
        try:
            found = views.looked_at(actor, asked)
        except BadInput as error:
            faults = wrong(error, renderer.words(request).language)
            return views.everything(request, actor, status=422, asked=asked, faults=faults)
        return views.everything(request, actor, asked=asked, preview=found)

    @routes.post(ADDRESS)
    def record(request: Request, actor: _MayRecord, _person: SignedIn, fields: Posted) -> Response:
        asked = Asked.of(fields)
        try:
            found = views.looked_at(actor, asked)
            if fields.one("preview") != found.fingerprint:
                # Changed since it was looked at, or never looked at.
                return views.everything(request, actor, status=409, asked=asked, preview=found)
            with context.db.write() as connection:
                entry = recording.record(
                    connection,
                    actor,
                    found.entry.plan,
                    context.clock.now_us(),
                    context.settings.maintenance_backdate_us(),
                    effect=effects.kept(found.effect),
                )
        except BadInput as error:
            faults = wrong(error, renderer.words(request).language)
            return views.everything(request, actor, status=422, asked=asked, faults=faults)
        return to(f"{ADDRESS}?done={entry.status}#m-{entry.id}")

    @routes.post("/maintenance/{entry_id}/approve")
    def approve(
        request: Request, entry_id: _Id, actor: _MayRecord, _person: SignedIn, _fields: Posted
    ) -> Response:
        return decided(
            request,
            actor,
            entry_id,
            lambda connection, now_us: recording.approve(connection, actor, entry_id, now_us),
            "approved",
        )

    @routes.post("/maintenance/{entry_id}/refuse")
    def refuse(
        request: Request, entry_id: _Id, actor: _MayRecord, _person: SignedIn, fields: Posted
    ) -> Response:
        why = fields.one("why")
        return decided(
            request,
            actor,
            entry_id,
            lambda connection, now_us: recording.refuse(connection, actor, entry_id, why, now_us),
            "refused",
            why,
        )

    @routes.post("/maintenance/{entry_id}/cancel")
    def cancel(
        request: Request, entry_id: _Id, actor: _MayRecord, _person: SignedIn, fields: Posted
    ) -> Response:
        why = fields.one("why")
        return decided(
            request,
            actor,
            entry_id,
            lambda connection, now_us: recording.cancel(connection, actor, entry_id, why, now_us),
            "cancelled",
            why,
        )

    return routes


def _row(connection: Connection, actor: Actor, entry: Entry, now_us: int) -> Row:
    stands = phase(entry, now_us) if entry.status == RECORDED else entry.status
    may_decide = recording.may_decide(connection, actor, entry)
    return Row(entry, stands, person(entry.author) == person(actor.name), may_decide)


def _who(name: str) -> str:
    """Who stands behind a name of the audit log, or of an entry that no person made."""
    return person(name) or name


def _instant(text: str, where: str, times: Times) -> str:
    """A local time as browsers send it, as ISO 8601 with its zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("请填写日期与时刻 / give a date and a time", where=where) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=times.zone)).isoformat()


def _note_stranger(context: Context, actor: Actor, entry: int) -> None:
    with context.db.write() as connection:
        recording.note_stranger(connection, actor, entry, context.clock.now_us())

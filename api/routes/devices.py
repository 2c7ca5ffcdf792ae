"""Devices: which are in which state, now or at a past moment."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api import cursor, detail, examples, exporting, listing, params
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.detail import Asked
from api.exporting import CSV, DEFAULT_LIMIT, MAX_LIMIT
from api.listing import Filters
from api.models import DevicesAnswer
from api.params import At, Community, Kind, KnownAt, Moment
from api.present import Present
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE
from api.problems import Checks
from pulse.access.roles import Actor, Permission
from pulse.clock import to_iso
from pulse.ledger.model import State
from pulse.stores.relational import pastdevices

_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]

_States = Annotated[
    list[str] | None,
    Query(
        alias="state",
        description="只要这些状态，可给多次 / only these states, may be given several times",
        examples=[["offline", "fault"]],
    ),
]


def router(context: Context, present: Present) -> APIRouter:
    """The list of devices."""
    routes = APIRouter(
        prefix="/api/v1/devices",
        tags=["设备 / devices"],
        dependencies=[Depends(Allowed(Permission.DEVICES_READ)), Depends(params.only_known)],
    )

    @routes.get(
        "",
        summary="设备列表 / devices",
        response_model=DevicesAnswer,
        responses=answers(
            examples.DEVICES,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="一页设备，或全部设备的 CSV / one page, or all of them as CSV",
            **{CSV: examples.DEVICES_CSV},
        ),
    )
    def devices(
        request: Request,
        actor: _Reader,
        states: _States = None,
        community: Community = None,
        kind: Kind = None,
        q: Annotated[
            str | None,
            Query(
                max_length=100,
                description="在编号、名称、位置、厂商、标签中查找，空格分隔的词须都出现 / words to look for "
                "in ids, names, places, makers and tags; all have to occur",
            ),
        ] = None,
        at: At = None,
        known_at: KnownAt = None,
        limit: Annotated[
            int | None,
            Query(
                ge=1,
                le=MAX_LIMIT,
                description=f"每页台数，默认 {DEFAULT_LIMIT}；CSV 默认全部 / devices of a page, "
                f"{DEFAULT_LIMIT} by default; CSV gives all by default",
            ),
        ] = None,
        cursor_: Annotated[
            str | None,
            Query(
                alias="cursor",
                max_length=400,
                description="上一页的 next；各页回答同一时刻 / `next` of the page before; "
                "all pages answer for the same instant",
            ),
        ] = None,
        format_: Annotated[
            Literal["json", "csv"] | None,
            Query(alias="format", description="默认按 Accept / by the Accept header by default"),
        ] = None,
    ) -> Response:
        """现在或过去某一时刻的设备，例如某个数字背后的 15 台：`state=offline&state=fault&at=…`。

        Devices now or at a past moment, such as the 15 behind a number; in order of id, by pages. With
        `known_at` they are named and placed as they were registered then.
        """
        checks = Checks()
        filters = Filters(tuple(states or ()), community, kind, q)
        within = actor.communities
        begin = listing.begin(checks, filters, at, known_at, cursor_, context.clock.now_us(), within)
        for state in filters.states:
            params.one_of(checks, "state", state, (s.slug for s in State))
        with context.db.read() as connection:
            params.scope(checks, connection, community, kind, within)
            checks.settle()
        if begin.at_us is None:
            as_of, statuses = present.devices(within)
            asked = Asked(as_of.at_us, as_of.at_us)
        else:
            asked = detail.resolved(context, Moment(begin.at_us, begin.known_us))
            statuses = context.rate.devices(*asked, within)
        records = present.records()
        if begin.known_us is not None:
            with context.db.read() as connection:
                records = {one.id: one for one in pastdevices.known_at(connection, begin.known_us)}
        found = listing.select(statuses, records, filters)
        as_csv = exporting.wants_csv(request, format_)
        size = limit or (len(found) or 1 if as_csv else DEFAULT_LIMIT)
        rest = [item for item in found if item["id"] > begin.after]
        page = rest[:size]
        following = None
        if len(rest) > size:
            following = cursor.encode(cursor.Cursor(page[-1]["id"], *asked, cursor.digest(filters, within)))
        if as_csv:
            exporting.note(context, actor, "devices", filters._asdict(), asked, len(page))
            return exporting.csv_answer("devices", listing.COLUMNS, page, following, asked.at_us)
        body = {
            "items": page,
            "next": following,
            "total": len(found),
            "at": to_iso(asked.at_us),
            "known_at": to_iso(asked.known_us),
        }
        return json(body, {"Vary": "Accept"})

    return routes

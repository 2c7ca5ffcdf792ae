"""What was shared: deliveries, receipts, accesses, the funnel."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from api import outlets_examples as examples
from api import params
from api.answers import answers, json
from api.auth.guard import Allowed, forbidden
from api.context import Context
from api.outlets import overview
from api.outlets.overview import Period, iso
from api.outlets_models import AccessesAnswer, DeliveriesAnswer, FunnelAnswer, ReceiptsAnswer
from api.problem_kinds import FORBIDDEN, INVALID_PARAMETERS, NOT_FOUND, SIGN_IN_REQUIRED, UNAVAILABLE
from api.problems import Checks
from pulse.access import outlets as agreeing
from pulse.access.roles import Actor, Permission
from pulse.clock import DAY_US, to_iso
from pulse.sharing.deliveries import numbered
from pulse.sharing.receipts import Part, Receipt
from pulse.stores.relational import deliveries, receipts
from pulse.stores.relational.deliveries import Stored

MOST = 500
LONGEST_US = 31 * DAY_US
_MayRead = Annotated[Actor, Depends(Allowed(Permission.SHARING_READ))]
_MayAudit = Annotated[Actor, Depends(Allowed(Permission.AUDIT_READ))]
_Outlet = Annotated[
    str | None,
    Query(max_length=params.MAX_VALUE, description="只看这个出口 / of this outlet only", examples=["fire"]),
]
_Limit = Annotated[int, Query(ge=1, le=MOST, description="最多条数 / most entries")]
_Before = Annotated[
    int | None,
    Query(ge=1, le=2**62, description="只要编号更小的 / those with a lower number only", examples=[100]),
]


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/sharing",
        tags=["数据共享 / data sharing"],
        dependencies=[Depends(params.only_known)],
    )
    db, clock = context.db, context.clock

    @routes.get(
        "/deliveries",
        summary="交付 / deliveries",
        response_model=DeliveriesAnswer,
        responses=answers(
            examples.DELIVERIES,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="最近的在前 / the newest first",
        ),
    )
    def listed(
        actor: _MayRead,
        outlet: Annotated[
            str,
            Query(max_length=params.MAX_VALUE, description="出口编号 / id of an outlet", examples=["fire"]),
        ],
        before: Annotated[
            str | None,
            Query(
                max_length=params.MAX_VALUE,
                description="只要更早的 / earlier ones than this delivery only",
                examples=["fire-17"],
            ),
        ] = None,
        limit: _Limit = 100,
    ) -> Response:
        """一个出口的交付：内容摘要、各种类条数、状态与上次未送达的原因。

        The deliveries of an outlet: digests, counts by kind, state, and why the last attempt failed.
        """
        checks = Checks()
        number = None if before is None else numbered(outlet, before)
        if before is not None and number is None:
            checks.refuse("before", "unusable", before, reason="不是此出口的交付 / is no delivery of it")
        checks.settle()
        with db.read() as connection:
            agreeing.of(connection, actor, outlet)
            found = deliveries.listing(connection, outlet, before=number, limit=limit)
        last = found[-1].id if len(found) == limit else None
        return json({"deliveries": [_delivery(actor, one) for one in found], "next": last})

    @routes.get(
        "/receipts",
        summary="回执 / receipts",
        response_model=ReceiptsAnswer,
        responses=answers(
            examples.RECEIPTS,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="最近的在前 / the newest first",
        ),
    )
    def acknowledged(
        actor: _MayRead, outlet: _Outlet = None, before: _Before = None, limit: _Limit = 100
    ) -> Response:
        """各部门确认了什么；只追加，成散列链，`pulse sharing verify-chain` 核对。

        What departments acknowledged; appended to only, in one chain by hash.
        """
        with db.read() as connection:
            if outlet is not None:
                agreeing.of(connection, actor, outlet)
            found = receipts.listing(connection, outlet=outlet, before=before, limit=limit)
            seen = {one.id for one in agreeing.listing(connection, actor)}
        last = found[-1].number if len(found) == limit else None
        own = [one for one in found if actor.communities is None or one.outlet in seen]
        return json({"receipts": [_receipt(actor, one) for one in own], "next": last})

    @routes.get(
        "/accesses",
        summary="访问日志 / access log",
        response_model=AccessesAnswer,
        responses=answers(
            examples.ACCESSES,
            SIGN_IN_REQUIRED,
            FORBIDDEN,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="最近的在前 / the newest first",
        ),
    )
    def accesses(
        request: Request,
        actor: _MayAudit,
        outlet: _Outlet = None,
        before: _Before = None,
        limit: _Limit = 100,
    ) -> Response:
        """每一次送出、拉取、提交与拒绝：何时、何人、何地、结果；限可见全部小区者。

        Every attempt, fetch, commit and refusal: when, who, where, what came of it. For those who see all.
        """
        if actor.communities is not None:
            raise forbidden(request, actor, "accesses")
        with db.read() as connection:
            wanted = None if outlet is None else [outlet]
            found = deliveries.accesses(connection, outlets=wanted, before=before, limit=limit)
        shown = [{**one._asdict(), "at": to_iso(one.at_us)} for one in found]
        for one in shown:
            del one["at_us"]
        return json({"accesses": shown, "next": found[-1].id if len(found) == limit else None})

    @routes.get(
        "/funnel",
        summary="共享漏斗 / the funnel",
        response_model=FunnelAnswer,
        responses=answers(
            examples.FUNNEL,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="按出口与种类 / by outlet and kind",
        ),
    )
    def funnel(
        actor: _MayRead, from_: params.From = None, to: params.To = None, outlet: _Outlet = None
    ) -> Response:
        """可采集 → 已采集 → 待送 → 已送 → 已确认，各多少条、最新到何时，卡在哪里、为何；默认最近一天。

        Collectable, collected, in the outbox, sent, acknowledged: how many records, how new, and why it is
        stuck where it is. The last day by default, 31 days at most.
        """
        checks = Checks()
        now_us = clock.now_us()
        asked = params.period(checks, from_, to, None, now_us)
        if asked is not None and asked.to_us - asked.from_us > LONGEST_US:
            checks.refuse("from", "unusable", from_, reason="最长 31 天 / 31 days at most")
        checks.settle()
        period = Period(now_us - DAY_US, now_us) if asked is None else Period(asked.from_us, asked.to_us)
        with db.read() as connection:
            chosen = (
                agreeing.listing(connection, actor)
                if outlet is None
                else [agreeing.of(connection, actor, outlet)]
            )
        found = overview.funnel_of(
            context.settings, db, context.store, now_us, period, actor.communities, chosen
        )
        shown = [overview.members(row) for row in found if outlet is None or row.outlet == outlet]
        return json({"from": to_iso(period.from_us), "to": to_iso(period.to_us), "rows": shown})

    return routes


def _parts(actor: Actor, parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [
        {
            "data_kind": part.data_kind,
            "community": part.community,
            "count": part.count,
            "first": iso(part.first_us),
            "last": iso(part.last_us),
            "quiet_from": iso(part.quiet_from_us),
            "quiet_until": iso(part.quiet_until_us),
        }
        for part in parts
        if actor.sees(part.community)
    ]


def _delivery(actor: Actor, stored: Stored) -> dict[str, Any]:
    parts = _parts(actor, stored.parts)
    return {
        "outlet": stored.outlet,
        "delivery": stored.id,
        "made_at": to_iso(stored.made_us),
        "state": stored.state,
        "records": sum(part["count"] for part in parts),
        "size": stored.size,
        "format": stored.format,
        "digest": stored.digest,
        "parts": parts,
        "failed_attempts": stored.attempts,
        "error": stored.error,
        "next_try": iso(stored.next_us) if stored.error else None,
        "sent_at": iso(stored.sent_us),
        "acknowledged_at": iso(stored.acknowledged_us),
    }


def _receipt(actor: Actor, receipt: Receipt) -> dict[str, Any]:
    return {
        "number": receipt.number,
        "outlet": receipt.outlet,
        "delivery": receipt.delivery,
        "digest": receipt.digest,
        "parts": _parts(actor, receipt.parts),
        "answer": msgspec.json.decode(receipt.answer) if actor.may(Permission.AUDIT_READ) else None,
        "sent_at": to_iso(receipt.sent_us),
        "acknowledged_at": to_iso(receipt.acknowledged_us),
        "recorded_at": to_iso(receipt.recorded_us),
        "previous": receipt.previous,
        "link": receipt.link,
    }

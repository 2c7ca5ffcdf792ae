"""Whether the collector hears the devices."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api import examples, params
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.listing import iso
from api.models import CollectorAnswer
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE
from pulse.access.roles import Actor, Permission
from pulse.clock import SECOND_US, to_iso
from pulse.stores.relational import coverage, quarantine, registry, spoolstatus
from pulse.stores.relational.spoolstatus import SpoolStatus

_Reader = Annotated[Actor, Depends(Allowed(Permission.COLLECTOR_READ))]


def router(context: Context) -> APIRouter:
    """The endpoint of the collector's state."""
    routes = APIRouter(
        prefix="/api/v1",
        tags=["采集 / collector"],
        dependencies=[Depends(Allowed(Permission.COLLECTOR_READ)), Depends(params.only_known)],
    )

    @routes.get(
        "/collector",
        summary="采集器状况 / the collector",
        response_model=CollectorAnswer,
        responses=answers(
            examples.COLLECTOR,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="是否在听、进度、隔离的消息 / whether it listens, how far it is, what it set aside",
        ),
    )
    def collector(actor: _Reader) -> Response:
        """采集器现在能否听到设备；听不到时，沉默的设备状态为未知而不是离线。

        Whether the collector hears the devices now; while it does not, silence is unknown, not offline.
        Messages set aside belong to no community for sure: `quarantined` is null to who sees some only.
        """
        as_of = context.rate.as_of()
        with context.db.read() as connection:
            mark = coverage.watermark(connection)
            started_us = coverage.start_us(connection)
            quarantined = quarantine.counts(connection) if actor.communities is None else None
            spool = spoolstatus.read(connection)
            discovered = len(registry.inbox(connection, communities=actor.communities))
        now_us = context.clock.now_us()
        return json(
            {
                "listening": as_of.listening,
                "stale": as_of.stale,
                "blind_since": iso(as_of.blind_since_us),
                "at": to_iso(as_of.at_us),
                "started_at": iso(started_us),
                "watermark": None
                if mark is None
                else {
                    "through": to_iso(mark.through_us),
                    "written_at": to_iso(mark.written_us),
                    "age_s": max(now_us - mark.through_us, 0) / SECOND_US,
                    "session": mark.session,
                },
                "spool": None if spool is None else _spool(spool, now_us),
                "quarantined": quarantined,
                "discovered": discovered,
            }
        )

    return routes


def _spool(status: SpoolStatus, now_us: int) -> dict[str, object]:
    """The spool's members, as the collector told them last."""
    oldest_us = status.oldest_us
    return {
        "told_at": to_iso(status.at_us),
        "messages": status.messages,
        "bytes": status.bytes,
        "oldest_age_s": None if oldest_us is None else max(now_us - oldest_us, 0) / SECOND_US,
        "in_per_s": status.in_per_s,
        "out_per_s": status.out_per_s,
        "share": status.share,
        "drained_in_s": status.drained_in_s(),
        "stalled": status.stalled,
        "stalled_since": iso(status.stalled_since_us),
    }

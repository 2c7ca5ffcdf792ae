"""The live stream of transitions, indicator changes and coverage."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from api import examples, params
from api.answers import answers
from api.auth.guard import Allowed
from api.auth.identity import identity
from api.live import Hub, LiveResponse, Since
from api.problem_kinds import INVALID_PARAMETERS, UNAVAILABLE
from api.problems import Checks
from pulse.access.roles import Actor, Permission
from pulse.stores.relational.events import TOPICS

_LARGEST_ID = (1 << 63) - 1

_Reader = Annotated[Actor, Depends(Allowed(Permission.DEVICES_READ))]


def router(hub: Hub) -> APIRouter:
    """The endpoint of the stream."""
    routes = APIRouter(
        prefix="/api/v1",
        tags=["实时 / live"],
        dependencies=[Depends(Allowed(Permission.DEVICES_READ)), Depends(params.only_known)],
    )

    @routes.get(
        "/events",
        status_code=200,
        summary="实时事件 / live events",
        response_class=LiveResponse,
        responses=answers(
            None,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="text/event-stream，直到连接断开 / until the connection ends",
            **{"text/event-stream": examples.EVENTS},
        ),
    )
    async def events(
        request: Request,
        actor: _Reader,
        topics: Annotated[
            list[str] | None,
            Query(
                description="只要这些主题，逗号分隔或给多次 / only these topics, by commas or "
                f"given several times: {', '.join(sorted(TOPICS))}",
                examples=[["transition,indicator"]],
            ),
        ] = None,
        damped: Annotated[
            bool,
            Query(
                description="false：不要抖动设备的逐次变化（`damped`），只要抖动的开始与结束 / "
                "false: without the single changes of devices that flap (`damped`), only begin and end of it"
            ),
        ] = True,
        last_event_id: Annotated[
            int | None,
            Query(
                ge=0,
                le=_LARGEST_ID,
                description="从此事件之后继续；请求头 Last-Event-ID 优先 / go on behind this event; "
                "the header Last-Event-ID goes before it",
            ),
        ] = None,
        last_event_header: Annotated[
            str | None, Header(alias="Last-Event-ID", description="浏览器重连时自动给出 / sent by browsers")
        ] = None,
    ) -> LiveResponse:
        """状态（`transition`）、抖动（`flapping`）、指标（`indicator`、`sharing`）、采集（`coverage`）、集中失联（`incident`）的变化，SSE。

        断线后凭 Last-Event-ID 补发；补不齐时发 `reset`，页面应重新载入数据。每 15 秒一条注释保持连接。
        会话或令牌失效、用户所能看到的有变时，连接结束。

        After a lost connection Last-Event-ID brings what was missed; when that is no longer possible a
        `reset` is sent, and what is shown has to be loaded anew. A comment every 15 s keeps it open. It ends
        when the session or token ends, or its user may see something else than before.
        """
        checks = Checks()
        wanted = [name.strip() for given in topics or [] for name in given.split(",") if name.strip()]
        for name in wanted:
            params.one_of(checks, "topics", name, TOPICS)
        checks.settle()
        since = Since(last_event_id)
        if last_event_header:
            # The browser sends both after a lost connection: the query is that of the first connection.
            digits = last_event_header.isascii() and last_event_header.isdigit()
            known = int(last_event_header) if digits and len(last_event_header) < 19 else None
            since = Since(known, malformed=known is None)
        is_known = None if actor.is_anonymous else lambda: identity(request).is_still(request, actor)
        return LiveResponse(
            hub, frozenset(wanted) or TOPICS, since, actor.communities, is_known, damped=damped
        )

    return routes

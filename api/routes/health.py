"""Whether the process lives, whether it can serve, and its metrics."""

from collections.abc import Callable

import prometheus_client
from fastapi import APIRouter, Depends, Response

import pulse
from api import params
from api.answers import answers, json
from api.auth.guard import Allowed, Open
from api.context import Context
from api.metrics import Metrics
from api.models import HealthAnswer, ReadyAnswer
from api.problem_kinds import INVALID_PARAMETERS, NOT_READY
from api.problems import Problem
from pulse.access.roles import Permission
from pulse.clock import SECOND_US
from pulse.errors import PulseError

_OK = {"status": "ok", "version": pulse.__version__}
_READY = {
    "status": "ready",
    "parts": {
        "database": {"ok": True, "detail": "ok"},
        "store": {"ok": True, "detail": "ok"},
        "collector": {"ok": True, "detail": "ok, 0.4 s"},
    },
}


def router(context: Context, metrics: Metrics) -> APIRouter:
    """The endpoints for those who operate the service."""
    routes = APIRouter(tags=["运维 / operations"], dependencies=[Depends(params.only_known)])
    alive = [Depends(Open("whatever watches the process has no account, and learns nothing of the devices"))]

    @routes.get(
        "/healthz",
        dependencies=alive,
        summary="进程存活 / liveness",
        response_model=HealthAnswer,
        responses=answers(_OK, INVALID_PARAMETERS, description="进程在运行 / the process is alive"),
    )
    async def healthz() -> Response:
        """进程存活；不检查数据库。The process is alive; nothing else is asked."""
        return json(_OK)

    @routes.get(
        "/readyz",
        dependencies=alive,
        summary="可以服务 / readiness",
        response_model=ReadyAnswer,
        responses=answers(
            _READY,
            INVALID_PARAMETERS,
            NOT_READY,
            description="数据库、遥测库和采集器都可用 / database, store and collector can be used",
        ),
    )
    def readyz() -> Response:
        """逐一检查数据库、遥测库与采集进度。Asks the database, the store and the collector's watermark."""
        checks = {
            "database": context.db.check,
            "store": context.store.ping,
            "collector": lambda: _fresh(context),
        }
        parts = {name: _part(check) for name, check in checks.items()}
        failed = [f"{name}: {part['detail']}" for name, part in parts.items() if not part["ok"]]
        if failed:
            raise Problem(NOT_READY, detail="; ".join(failed), members={"parts": parts})
        return json({"status": "ready", "parts": parts})

    @routes.get(
        "/metrics",
        dependencies=[Depends(Allowed(Permission.METRICS_READ))],
        summary="Prometheus",
        response_class=Response,
        responses=answers(
            None,
            INVALID_PARAMETERS,
            description="Prometheus 文本格式 / Prometheus text format",
            **{"text/plain": "pulse_online_rate_running 811.0\npulse_online_rate_total 826.0\n"},
        ),
    )
    def scrape() -> Response:
        """在线率、各状态的设备数、采集进度与请求统计。The rate, devices by state, the watermark, requests."""
        return Response(metrics.render(), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return routes


def _part(check: Callable[[], str | None]) -> dict[str, object]:
    try:
        return {"ok": True, "detail": check() or "ok"}
    except PulseError as error:
        return {"ok": False, "detail": str(error)}


def _fresh(context: Context) -> str:
    """How old the watermark is. Raises when the collector stopped moving it."""
    as_of = context.rate.as_of()
    if as_of.stale:
        raise PulseError(
            "采集器没有报告进度，请检查 pulse serve 或 pulse collector 是否在运行 / "
            "the collector does not tell how far it is; check that pulse serve or pulse collector runs"
        )
    age_s = max(context.clock.now_us() - as_of.at_us, 0) / SECOND_US
    return f"ok, {age_s:.1f} s"

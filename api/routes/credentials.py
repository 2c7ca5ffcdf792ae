"""Devices' MQTT passwords: issued, replaced, revoked."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api import params
from api import people_examples as examples
from api.answers import answers, json
from api.auth.guard import Allowed
from api.auth.unseen import note_unseen
from api.context import Context
from api.params import DeviceId
from api.people_models import CredentialAnswer, RevokedAnswer
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
    UNKNOWN_DEVICE,
)
from api.problems import Checks, Problem
from pulse import logs
from pulse.access import devices
from pulse.access.roles import Actor, Permission
from pulse.broker.publishing import publish
from pulse.errors import PulseError
from pulse.stores.relational import credentials, registry

_log = logs.get(__name__)
_MayIssue = Annotated[Actor, Depends(Allowed(Permission.CREDENTIALS_WRITE))]
_PROBLEMS = (SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/api/v1", tags=["设备 / devices"], dependencies=[Depends(params.only_known)])
    db, clock = context.db, context.clock

    @routes.post(
        "/devices/{id}/credentials",
        summary="发放或更换设备口令 / issue or replace a device's password",
        response_model=CredentialAnswer,
        responses=answers(
            examples.CREDENTIAL,
            UNKNOWN_DEVICE,
            CONFLICT,
            *_PROBLEMS,
            description="口令，只显示这一次 / the password, this once only",
        ),
    )
    def issue(request: Request, actor: _MayIssue, id_: DeviceId) -> Response:
        """新口令；`broker` 为 `reloaded` 时已生效，旧口令随即失效。

        A new password, in force where `broker` says `reloaded`; a former one is invalid from then on.
        """
        _check_device(request, actor, id_)
        with db.write() as connection:
            known = credentials.of(connection, id_)
            change = devices.issue if known is None or known.revoked_us is not None else devices.rotate
            (made,) = change(connection, actor, [id_], clock.now_us())
        return json(made._asdict() | {"broker": _told()})

    @routes.delete(
        "/devices/{id}/credentials",
        summary="撤销设备口令 / revoke a device's password",
        response_model=RevokedAnswer,
        responses=answers(
            examples.REVOKED, UNKNOWN_DEVICE, CONFLICT, *_PROBLEMS, description="已撤销 / it is revoked"
        ),
    )
    def withdraw(request: Request, actor: _MayIssue, id_: DeviceId) -> Response:
        """`broker` 为 `reloaded` 时已失效 / invalid where `broker` says `reloaded`."""
        _check_device(request, actor, id_)
        with db.write() as connection:
            devices.revoke(connection, actor, [id_], clock.now_us())
        return json({"ended": True, "broker": _told()})

    def _told() -> str:
        """What the broker knows of the change, which is made in any case: the password is told this once."""
        try:
            return publish(db, context.settings)
        except PulseError as error:
            _log.error("broker_files_not_written", error=str(error))
            return "failed"

    def _check_device(request: Request, actor: Actor, device: str) -> None:
        """A device of another community is as none to the asker, but not to the log."""
        checks = Checks()
        params.device_id(checks, device)
        checks.settle()
        with db.read() as connection:
            found = registry.device(connection, device)
        if found is None or not actor.sees(found.community):
            note_unseen(request, actor, device)
            raise Problem(UNKNOWN_DEVICE, members={"device": device})

    return routes

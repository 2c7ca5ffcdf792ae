"""Outlets: what they are, how they are, a test delivery, and having what waits tried again."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import Connection

from api import outlets_examples as examples
from api import params
from api.answers import answers, json
from api.auth.guard import Allowed, note_refusal
from api.context import Context
from api.outlets import overview
from api.outlets.testing import try_out
from api.outlets_models import OutletBody, OutletItem, OutletsAnswer, RetriedAnswer, TriedAnswer
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from pulse.access import outlets as agreeing
from pulse.access.roles import Actor, Permission
from pulse.errors import NotFound
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import outlets

_MayRead = Annotated[Actor, Depends(Allowed(Permission.SHARING_READ))]
_MayWrite = Annotated[Actor, Depends(Allowed(Permission.SHARING_WRITE))]
_Id = Annotated[
    str,
    Path(
        alias="outlet",
        max_length=params.MAX_VALUE,
        description="出口编号 / id of the outlet",
        examples=["fire"],
    ),
]
_DOING = (NOT_FOUND, CONFLICT, SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/sharing/outlets",
        tags=["数据共享 / data sharing"],
        dependencies=[Depends(params.only_known)],
    )
    db, clock = context.db, context.clock
    keys = Keys(context.settings.outlet_keys())

    def shown(connection: Connection, actor: Actor, outlet: Outlet) -> dict[str, Any]:
        said = outlets.history(connection, outlet.id)
        whole = actor.may(Permission.SHARING_WRITE)
        members = agreeing.shown(outlet, actor, said[-1] if said else None, whole=whole)
        return members | {"state": overview.state(connection, keys, outlet)}

    @routes.get(
        "",
        summary="出口 / outlets",
        response_model=OutletsAnswer,
        responses=answers(examples.OUTLETS, INVALID_PARAMETERS, UNAVAILABLE, description="按编号 / by id"),
    )
    def listing(actor: _MayRead) -> Response:
        """通往各部门的出口及其现状；地址只给可修改者看。

        The outlets to departments, and how they are; addresses are for those who may change them.
        """
        with db.read() as connection:
            found = [shown(connection, actor, o) for o in agreeing.listing(connection, actor)]
        return json({"outlets": found})

    @routes.get(
        "/{outlet}",
        summary="一个出口 / an outlet",
        response_model=OutletItem,
        responses=answers(
            examples.OUTLET, NOT_FOUND, INVALID_PARAMETERS, UNAVAILABLE, description="现在 / as it is now"
        ),
    )
    def one(request: Request, actor: _MayRead, name: _Id) -> Response:
        """出口的规定与现状。

        What was said of it, and how it is.
        """
        with db.read() as connection:
            found = outlets.of(connection, name)
            if found is not None and agreeing.sees(actor, found):
                return json(shown(connection, actor, found))
        if found is not None:
            note_refusal(request, actor, f"outlet:{name}")
        raise NotFound(f"没有出口 {name} / there is no outlet {name}")

    @routes.put(
        "/{outlet}",
        summary="规定出口 / set an outlet",
        response_model=OutletItem,
        responses=answers(examples.OUTLET, *_DOING, description="现在 / as it is now"),
    )
    def put(actor: _MayWrite, name: _Id, body: OutletBody) -> Response:
        """新的出口从此刻起收到的记录开始；修改即刻生效，历次规定都保留。密钥另行以文件给出。

        A new outlet begins with what is received from now on. A change is in force at once; what was said
        before is kept. Keys are files and not set here.
        """
        with db.write() as connection:
            said = {**body.model_dump(), "id": name}
            found, _ = agreeing.put(connection, actor, said, clock.now_us())
            return json(shown(connection, actor, found))

    @routes.post(
        "/{outlet}/test",
        summary="试投递 / test delivery",
        response_model=TriedAnswer,
        responses=answers(examples.TRIED, *_DOING, description="对方的回答 / what came of it"),
    )
    def test(actor: _MayWrite, name: _Id) -> Response:
        """送出一份空的、已签名的交付；不产生回执，记入访问日志。

        Sends an empty, signed delivery. It makes no receipt, and the access log has it.
        """
        with db.read() as connection:
            found = agreeing.of(connection, actor, name)
        answer = try_out(context.settings, db, clock, actor, found)
        return json(
            {
                "received": answer.received,
                "detail": answer.detail,
                "retry_after_s": answer.retry_after_s,
            }
        )

    @routes.post(
        "/{outlet}/retry",
        summary="立即再试 / try again now",
        response_model=RetriedAnswer,
        responses=answers(examples.RETRIED, *_DOING, description="多少份 / how many deliveries"),
    )
    def retry(actor: _MayWrite, name: _Id) -> Response:
        """等待再试的交付不再等待，按次序送出。

        What waits for its next try waits no longer; it is sent in its order.
        """
        with db.write() as connection:
            count = agreeing.retry(connection, actor, name, clock.now_us())
        return json({"deliveries": count})

    return routes

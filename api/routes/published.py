"""What was published: whether its chain holds."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api import examples, params
from api.answers import answers, json
from api.auth.guard import Allowed, forbidden
from api.context import Context
from api.models import PublishedVerifiedAnswer
from api.problem_kinds import FORBIDDEN, INVALID_PARAMETERS, SIGN_IN_REQUIRED, UNAVAILABLE
from pulse.access.roles import Actor, Permission
from pulse.chain import shown
from pulse.indicators.verifying import verify

_May = Annotated[Actor, Depends(Allowed(Permission.AUDIT_READ))]


def router(context: Context) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(
        prefix="/api/v1/indicators",
        tags=["指标 / indicators"],
        dependencies=[Depends(params.only_known)],
    )

    @routes.get(
        "/verification",
        summary="核对公布值的散列链 / check the chain of published values",
        response_model=PublishedVerifiedAnswer,
        responses=answers(
            examples.PUBLISHED_VERIFIED,
            SIGN_IN_REQUIRED,
            FORBIDDEN,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="核对结果 / what was found",
        ),
    )
    def verification(request: Request, actor: _May) -> Response:
        """从头核对全部公布值，限可见全部小区者；重算见 `pulse indicators verify-chain`。

        Reads every published value, for those who see all communities. `pulse indicators verify-chain`
        recomputes them too.
        """
        if actor.communities is not None:
            raise forbidden(request, actor, "indicators")
        with context.db.read() as connection:
            found = verify(connection)
        broken = found.broken
        return json(
            {
                "values": found.links,
                "head": shown(found.head),
                "broken_at": None if broken is None else broken.number,
                "reason": None if broken is None else broken.reason,
                "reason_zh": None if broken is None else broken.reason_zh,
            }
        )

    return routes

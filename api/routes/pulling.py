"""What departments fetch themselves: deliveries behind a cursor, and the commit that is their receipt."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import outlets_examples as examples
from api import params
from api.answers import answers, json
from api.auth.guard import Allowed, forbidden
from api.context import Context
from api.outlets.pulling import MOST_ON_A_PAGE, Pickup
from api.outlets_models import CommittedAnswer, CursorBody, PulledAnswer
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from pulse.access.roles import Actor, Permission
from pulse.errors import PulseError
from pulse.stores.relational.deliveries import COMMIT, PULL

_MayPull = Annotated[Actor, Depends(Allowed(Permission.SHARING_PULL))]
_Id = Annotated[
    str,
    Path(
        alias="outlet",
        max_length=params.MAX_VALUE,
        description="出口编号 / id of the outlet",
        examples=["street"],
    ),
]
_PROBLEMS = (NOT_FOUND, CONFLICT, SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/sharing/outlets/{outlet}",
        tags=["数据共享 / data sharing"],
        dependencies=[Depends(params.only_known)],
    )
    pickup = Pickup(context)

    def check_own(request: Request, actor: Actor, outlet: str, action: str) -> None:
        """Whoever reaches for another department's data is refused, and both logs have it."""
        if outlet not in actor.outlets:
            pickup.refused(actor, outlet, action, PulseError("不是自己的出口 / is not their outlet"))
            raise forbidden(request, actor, f"outlet:{outlet}")

    @routes.get(
        "/deliveries",
        summary="拉取交付 / fetch deliveries",
        response_model=PulledAnswer,
        responses=answers(
            examples.PULLED, *_PROBLEMS, description="游标之后，最旧的在前 / behind the cursor, oldest first"
        ),
    )
    def pull(
        request: Request,
        actor: _MayPull,
        name: _Id,
        cursor: Annotated[
            str | None,
            Query(
                max_length=params.MAX_VALUE,
                description="已有的最后一份，默认从未提交的开始 / the last one had; by default from what is "
                "not committed",
                examples=["street-5"],
            ),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE, description="最多份数 / most deliveries")] = 1,
    ) -> Response:
        """取走不等于确认：保存好之后提交 cursor，才有回执；未提交的会再次给出，编号与字节不变。

        Fetching is no receipt: keep what came, then commit its cursor. What is not committed is given again
        under the same id, byte for byte.
        """
        check_own(request, actor, name, PULL)
        return json(pickup.page(actor, name, cursor, limit))

    @routes.post(
        "/cursor",
        summary="提交游标 / commit a cursor",
        response_model=CommittedAnswer,
        responses=answers(examples.COMMITTED, *_PROBLEMS, description="已确认 / acknowledged"),
    )
    def commit(request: Request, actor: _MayPull, name: _Id, body: CursorBody) -> Response:
        """确认到此为止的每一份交付，各记一张回执；重复提交无害。

        Acknowledges every delivery up to it, each with a receipt. To commit again does no harm.
        """
        check_own(request, actor, name, COMMIT)
        return json(pickup.commit(actor, name, body.cursor)._asdict())

    return routes

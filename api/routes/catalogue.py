"""The catalogue of kinds of data: read at any moment, and set by those who may."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import Connection

from api import params, sharing_examples
from api.answers import answers, json
from api.auth.guard import Allowed
from api.context import Context
from api.params import At, KnownAt
from api.problem_kinds import (
    CONFLICT,
    FORBIDDEN,
    INVALID_PARAMETERS,
    NOT_FOUND,
    SIGN_IN_REQUIRED,
    UNAVAILABLE,
)
from api.problems import Checks
from api.sharing_models import CatalogueAnswer, DataKindAnswer, DataKindBody
from pulse.access import catalogue as declaring
from pulse.access.policies import MOST_REASON
from pulse.access.roles import Actor, Permission
from pulse.clock import parse_time, to_iso
from pulse.sharing.catalogue import checked, members
from pulse.stores.relational import catalogue

_Reader = Annotated[Actor, Depends(Allowed(Permission.SHARING_READ))]
_MaySet = Annotated[Actor, Depends(Allowed(Permission.SHARING_WRITE))]
_Id = Annotated[
    str,
    Path(
        alias="id",
        max_length=64,
        description="数据种类编号 / id of the kind of data",
        examples=["perimeter_event"],
    ),
]
_CHANGING = (NOT_FOUND, CONFLICT, SIGN_IN_REQUIRED, FORBIDDEN, INVALID_PARAMETERS, UNAVAILABLE)


def router(context: Context) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(
        prefix="/api/v1/catalogue",
        tags=["数据共享 / data sharing"],
        dependencies=[Depends(params.only_known)],
    )
    db, clock = context.db, context.clock

    @routes.get(
        "",
        summary="数据目录 / catalogue of kinds of data",
        response_model=CatalogueAnswer,
        responses=answers(
            sharing_examples.CATALOGUE,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="生效的数据种类 / the kinds in force",
        ),
    )
    def listing(actor: _Reader, at: At = None, known_at: KnownAt = None) -> Response:
        """现在或某一时刻（`at`）的目录，按当时（`known_at`）所知。

        The catalogue now or at a moment (`at`), as known then (`known_at`).
        """
        checks = Checks()
        now_us = clock.now_us()
        moment = params.moment(checks, at, known_at, now_us)
        checks.settle()
        at_us = now_us if moment.at_us is None else moment.at_us
        known_us = now_us if moment.known_us is None else moment.known_us
        with db.read() as connection:
            found = catalogue.load(connection).in_force(at_us, known_us)
        return json(
            {
                "kinds": [members(kind) for kind in found.values()],
                "at": to_iso(at_us),
                "known_at": to_iso(known_us),
            }
        )

    @routes.get(
        "/{id}",
        summary="一种数据及其历次版本 / a kind and its versions",
        response_model=DataKindAnswer,
        responses=answers(
            sharing_examples.ONE,
            NOT_FOUND,
            INVALID_PARAMETERS,
            UNAVAILABLE,
            description="此刻与历次 / now, and every version",
        ),
    )
    def one(actor: _Reader, id_: _Id) -> Response:
        """此刻的约定与历次版本，移出目录者亦在。

        What holds now, and every version; of one that has left the catalogue too.
        """
        with db.read() as connection:
            return json(_shown(connection, id_))

    @routes.put(
        "/{id}",
        summary="设定一种数据 / set a kind of data",
        response_model=DataKindAnswer,
        responses=answers(sharing_examples.ONE, *_CHANGING, description="设定后的约定 / as it is said now"),
    )
    def put(actor: _MaySet, id_: _Id, body: DataKindBody) -> Response:
        """从现在或更晚起生效，过去的判定不变；运行中的采集器一秒内取用。

        In force from now or later on; what was judged stays. A running collector takes it within a second.
        """
        said = body.model_dump(by_alias=True, exclude={"from_", "reason"})
        since_us = None if body.from_ is None else parse_time(body.from_, "from")
        kind = checked({"id": id_, **said})
        with db.write() as connection:
            declaring.declare(connection, actor, kind, clock.now_us(), since_us=since_us, reason=body.reason)
            return json(_shown(connection, id_))

    @routes.delete(
        "/{id}",
        summary="移出目录 / withdraw a kind of data",
        response_model=DataKindAnswer,
        responses=answers(
            {**sharing_examples.ONE, "holds": None},
            *_CHANGING,
            description="移出后的历次版本 / its versions afterwards",
        ),
    )
    def withdraw(
        actor: _MaySet,
        id_: _Id,
        from_: Annotated[
            str | None,
            Query(
                alias="from",
                max_length=params.MAX_VALUE,
                description="从何时起，默认现在，不能是过去 / from when on, now by default, never the past",
            ),
        ] = None,
        reason: Annotated[str, Query(max_length=MOST_REASON, description="理由 / why")] = "",
    ) -> Response:
        """历次版本与回执仍保留，过去的判定不变。

        Its versions and receipts stay, and what was judged does.
        """
        since_us = None if from_ is None else parse_time(from_, "from")
        with db.write() as connection:
            declaring.withdraw(connection, actor, id_, clock.now_us(), since_us=since_us, reason=reason)
            return json(_shown(connection, id_))

    def _shown(connection: Connection, name: str) -> dict[str, Any]:
        history = declaring.history(connection, name)
        holds = catalogue.load(connection).in_force(clock.now_us()).get(name)
        return {
            "id": name,
            "holds": None if holds is None else members(holds),
            "history": [declaring.as_members(version) for version in history],
        }

    return routes

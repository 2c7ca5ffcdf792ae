"""What people do with outlets: say what they are, have what waits tried again; each with its audit entry."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from pulse.access.roles import Actor
from pulse.clock import to_iso
from pulse.errors import BadInput, NotFound
from pulse.sharing.outlets import Outlet, Version, checked, members
from pulse.stores.relational import audit, catalogue, deliveries, outlets, recordmark, registry
from pulse.stores.relational.outlets import Position
from pulse.stores.relational.recordmark import RecordMark


def put(
    connection: Connection, actor: Actor, said: Mapping[str, Any], now_us: int, where: str = ""
) -> tuple[Outlet, bool]:
    """Say what an outlet is from now on; gives it and whether anything changed.

    A new one gets what is received from now on. Raises `BadInput` naming the member, also for a kind of data
    or a community that there is not.
    """
    outlet = checked(said, where)
    _check_known(connection, outlet, now_us, f"{where}." if where else "")
    history = outlets.history(connection, outlet.id)
    before = history[-1].says if history else None
    if before == outlet:
        return outlet, False
    recorded_us = max([now_us, *(version.recorded_us + 1 for version in history)])
    outlets.append(connection, Version(outlet.id, recorded_us, outlet, actor.name))
    begin(connection, outlet.id, now_us)
    # The far side may take more now.
    outlets.set_most(connection, outlet.id, None)
    audit.append(
        connection,
        actor,
        "outlet.put",
        f"outlet:{outlet.id}",
        now_us,
        before=None if before is None else members(before),
        after=members(outlet),
    )
    return outlet, True


def begin(connection: Connection, outlet: str, now_us: int) -> Position:
    """Where an outlet is; one that is nowhere begins at what is received from now on."""
    mark = recordmark.read(connection) or RecordMark(0, now_us)
    outlets.begin(connection, Position(outlet, mark.order, mark.observed_us, mark.observed_us))
    found = outlets.position_of(connection, outlet)
    assert found is not None  # noqa: S101 - begun just now, if not before
    return found


def retry(connection: Connection, actor: Actor, outlet: str, now_us: int) -> int:
    """Have everything that waits tried now; gives how many deliveries that are. Raises `NotFound`."""
    of(connection, actor, outlet)
    count = deliveries.retry(connection, outlet, now_us)
    audit.append(connection, actor, "outlet.retry", f"outlet:{outlet}", now_us, after={"deliveries": count})
    return count


def key_made(
    connection: Connection, actor: Actor, outlet: str, algorithm: str, key_id: str, now_us: int
) -> None:
    """Note that a key was made; the key itself is nobody's to read here."""
    audit.append(
        connection,
        actor,
        "outlet.key",
        f"outlet:{outlet}",
        now_us,
        after={"algorithm": algorithm, "id": key_id},
    )


def of(connection: Connection, actor: Actor, outlet: str) -> Outlet:
    """An outlet that the actor may see. Raises `NotFound`."""
    found = outlets.of(connection, outlet)
    if found is None or not sees(actor, found):
        raise NotFound(f"没有出口 {outlet} / there is no outlet {outlet}")
    return found


def sees(actor: Actor, outlet: Outlet) -> bool:
    """Whether anything that an outlet may deliver is of the actor's communities."""
    if actor.communities is None or outlet.communities is None:
        return True
    return bool(actor.communities & set(outlet.communities))


def listing(connection: Connection, actor: Actor) -> list[Outlet]:
    """The outlets that the actor may see, by id."""
    return [outlet for outlet in outlets.current(connection) if sees(actor, outlet)]


def shown(outlet: Outlet, actor: Actor, version: Version | None, *, whole: bool) -> dict[str, Any]:
    """An outlet as people get it: not `whole`, its address is left out; communities are the actor's own."""
    found = members(outlet)
    if not whole:
        found["url"] = ""
    if outlet.communities is not None:
        found["communities"] = [c for c in outlet.communities if actor.sees(c)]
    return found | {
        "since": None if version is None else to_iso(version.recorded_us),
        "said_by": version.said_by if version is not None and whole else "",
    }


def _check_known(connection: Connection, outlet: Outlet, now_us: int, before: str) -> None:
    kinds = catalogue.load(connection).in_force(now_us)
    for name in (*(outlet.data_kinds or ()), *outlet.fields):
        if name not in kinds:
            where = "data_kinds" if name in (outlet.data_kinds or ()) else "fields"
            raise BadInput(
                f"目录中没有种类 {name}；有 / no kind of data {name} is in the catalogue; there are: "
                f"{', '.join(kinds) or '-'}",
                where=f"{before}{where}",
            )
    known = {community.id for community in registry.communities(connection)}
    for name in outlet.communities or ():
        if name not in known:
            raise BadInput(
                f"没有登记小区 {name} / no community {name} is registered", where=f"{before}communities"
            )

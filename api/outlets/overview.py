"""How outlets are: what waits, whether their keys can be used, and the funnel of everything on its way."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from api.outlets.parcel import said_of
from pulse.clock import to_iso
from pulse.errors import BadInput
from pulse.indicators.within import Within
from pulse.settings import Settings
from pulse.sharing import funnel
from pulse.sharing.funnel import Row, State, Step
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.sharing.serving import Serving
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import catalogue, deliveries, outlets, service
from pulse.stores.relational.database import Database


class Period(NamedTuple):
    """Half-open, by reception and by the making of deliveries."""

    from_us: int
    to_us: int


def key_fault(keys: Keys, outlet: Outlet) -> str | None:
    """Why an outlet's keys cannot be used, None when they can."""
    try:
        if outlet.algorithm is not None:
            keys.signing(outlet.id, outlet.algorithm)
        keys.password(outlet.id)
        keys.client(outlet.id)
    except BadInput as error:
        return said_of(error)
    return None


def key_id(keys: Keys, outlet: Outlet) -> str | None:
    """The name of the key that an outlet signs with, None if there is none that can be used."""
    if outlet.algorithm is None:
        return None
    try:
        return keys.signing(outlet.id, outlet.algorithm).id
    except BadInput:
        return None


def state(connection: Connection, keys: Keys, outlet: Outlet) -> dict[str, Any]:
    """How an outlet is, as JSON members."""
    position = outlets.position_of(connection, outlet.id)
    waiting = deliveries.outstanding(connection).get(outlet.id)
    first = deliveries.waiting(connection, outlet.id, limit=1)
    return {
        "deliveries": 0 if position is None else position.number,
        "waiting": 0 if waiting is None else waiting.deliveries,
        "waiting_records": 0 if waiting is None else waiting.records,
        "waiting_bytes": 0 if waiting is None else waiting.bytes,
        "oldest_waiting": None if waiting is None else iso(waiting.oldest_us),
        "last_made": None if position is None else iso(position.built_us),
        "error": first[0].error if first else None,
        "next_try": iso(first[0].next_us) if first and first[0].error else None,
        "not_made": None if position is None else position.stuck,
        "key": key_id(keys, outlet),
        "key_fault": key_fault(keys, outlet),
        "withheld": {} if position is None else dict(position.withheld),
    }


def funnel_of(
    settings: Settings,
    db: Database,
    store: TelemetryStore,
    now_us: int,
    period: Period,
    within: Within,
    chosen: Iterable[Outlet],
) -> list[Row]:
    """The funnel of these outlets over a period. Raises `StoreUnavailable`."""
    keys = Keys(settings.outlet_keys())
    collected = store.collected(*period)
    with db.read() as connection:
        listed = list(chosen)
        kinds = catalogue.load(connection).in_force(now_us)
        serving = Serving(service.times(connection))
        positions = outlets.all_positions(connection)
        states = {}
        for outlet in listed:
            first = deliveries.waiting(connection, outlet.id, limit=1)
            position = positions.get(outlet.id)
            states[outlet.id] = State(
                key_fault(keys, outlet),
                None if position is None else position.stuck,
                {} if position is None else position.withheld,
                first[0] if first else None,
            )
        made = deliveries.made_in(connection, *period)
        return funnel.rows(listed, kinds, serving.sources(now_us), collected, made, states, within)


def members(row: Row) -> dict[str, Any]:
    """A row as JSON members."""
    return {
        "outlet": row.outlet or None,
        "data_kind": row.data_kind,
        "collectable": row.collectable,
        **{name: _step(getattr(row, name)) for name in ("collected", "outbox", "sent", "acknowledged")},
        "acknowledged_at": iso(row.acknowledged_us),
        "withheld": dict(row.withheld),
        "stuck": None if row.stuck is None else row.stuck._asdict(),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "records": step.records,
        "newest": iso(step.newest_us),
        "quiet_until": iso(step.quiet_until_us),
    }


def iso(at_us: int | None) -> str | None:
    """A time as people get it."""
    return None if at_us is None else to_iso(at_us)

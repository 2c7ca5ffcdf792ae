"""How far the telemetry store has come with records: whoever delivers them reads no further."""

import msgspec
from sqlalchemy import Connection

from pulse.stores.relational import meta

KEY = "records_stored"


class RecordMark(msgspec.Struct, frozen=True):
    """Every record whose order of reception is at most `order` is in the telemetry store.

    So is everything that was received before `observed_us` (microseconds since 1970 UTC): what comes later
    has a greater order.
    """

    order: int
    observed_us: int


def read(connection: Connection) -> RecordMark | None:
    """What the collector told last, None if it never did."""
    text = meta.get(connection, KEY)
    return None if text is None else msgspec.json.decode(text, type=RecordMark)


def write(connection: Connection, mark: RecordMark) -> None:
    """Overwrite it."""
    meta.put(connection, KEY, msgspec.json.encode(mark).decode())

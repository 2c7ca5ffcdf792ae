"""How the collector's spool is, as it told last: the file itself is open to the collector alone."""

import msgspec
from sqlalchemy import Connection

from pulse.stores.relational import meta

KEY = "spool_status"
NEARLY_FULL = 0.8


class SpoolStatus(msgspec.Struct, frozen=True):
    """What waits for the telemetry store, and how fast it comes and goes.

    Rates are messages a second over the last half minute, None while they are not known. `used_bytes` is
    what counts against `limit_bytes`: what waits, and what is kept a little longer. `stalled` says why
    nothing is acknowledged, since `stalled_since_us`; None while all is well.
    """

    at_us: int
    batches: int
    messages: int
    bytes: int
    oldest_us: int | None
    used_bytes: int
    limit_bytes: int
    in_per_s: float | None = None
    out_per_s: float | None = None
    stalled: str | None = None
    stalled_since_us: int | None = None

    @property
    def share(self) -> float:
        """How much of the limit is used, of 1."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 1.0

    @property
    def alarming(self) -> bool:
        """Whether people have to look: nothing is acknowledged, or soon nothing will be."""
        return self.stalled is not None or self.share >= NEARLY_FULL

    def drained_in_s(self) -> float | None:
        """Seconds until nothing waits if all goes on so; None if it does not shrink or nobody knows."""
        if self.messages == 0:
            return 0.0
        if self.in_per_s is None or self.out_per_s is None or self.out_per_s <= self.in_per_s:
            return None
        return self.messages / (self.out_per_s - self.in_per_s)

    def grows(self) -> bool:
        """Whether more comes than goes."""
        return None not in (self.in_per_s, self.out_per_s) and (self.in_per_s or 0) > (self.out_per_s or 0)


def read(connection: Connection) -> SpoolStatus | None:
    """What the collector told last, None if it never did."""
    text = meta.get(connection, KEY)
    return None if text is None else msgspec.json.decode(text, type=SpoolStatus)


def write(connection: Connection, status: SpoolStatus) -> None:
    """Overwrite it."""
    meta.put(connection, KEY, msgspec.json.encode(status).decode())

"""Whose clock the registry trusts, for stores that lay messages at their measured times."""

from pulse import logs
from pulse.clock import Clock
from pulse.errors import StoreUnavailable
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database

log = logs.get(__name__)

REFRESH_S = 5.0


class ClockTrust:
    """Answers `trust(device)` from memory; looks into the registry at most every `REFRESH_S` seconds.

    A device that nobody registered is trusted. While the database does not answer, the last known
    registry stands.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._untrusted: frozenset[str] = frozenset()
        self._version: int | None = None
        self._next_s = clock.monotonic_s()

    def __call__(self, device: str) -> bool:
        if self._clock.monotonic_s() >= self._next_s:
            self._next_s = self._clock.monotonic_s() + REFRESH_S
            self._refresh()
        return device not in self._untrusted

    def _refresh(self) -> None:
        try:
            with self._db.read() as connection:
                version = registry.version(connection)
                if version != self._version:
                    self._untrusted = frozenset(registry.distrusted(connection))
                    self._version = version
        except StoreUnavailable as error:
            log.warning("clock_trust_not_refreshed", reason=str(error))

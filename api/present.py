"""Answers about now, worked out once for every position of the watermark."""

import threading
from typing import Any, NamedTuple

from api.context import Context
from pulse.indicators.books import AsOf
from pulse.indicators.online_rate import DeviceStatus
from pulse.indicators.within import Kept, Within
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import coverage, registry


class _Position(NamedTuple):
    """What the states now depend on: two equal ones have the same states."""

    through_us: int
    session: str
    version: int


class Present:
    """The newest answers. May be used from any thread; while one works them out, others wait for it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._registered: tuple[int, dict[str, DeviceRecord]] | None = None
        self._kept: tuple[_Position, tuple[AsOf, list[DeviceStatus]]] | None = None
        self._parts: Kept[tuple[list[DeviceStatus], list[DeviceStatus]]] = Kept()

    def rate(self) -> dict[str, Any]:
        """The online rate now; not to be changed."""
        return self._context.rate.instant()

    def devices(self, within: Within = None) -> tuple[AsOf, list[DeviceStatus]]:
        """The state now of every device of the communities `within`, not to be changed, and the instant
        that now stands for."""
        with self._lock:
            as_of, statuses = self._whole()
            if within is None:
                return as_of, statuses
            kept = self._parts.get(within)
            if kept is None or kept[0] is not statuses:
                own = [status for status in statuses if status.community in within]
                kept = self._parts.put(within, (statuses, own))
            return as_of, kept[1]

    def records(self) -> dict[str, DeviceRecord]:
        """The registry's devices by id, not to be changed; read again when the registry has changed."""
        with self._lock, self._context.db.read() as connection:
            version = registry.version(connection)
            if self._registered is None or self._registered[0] != version:
                found = {record.id: record for record in registry.devices(connection)}
                self._registered = (version, found)
            return self._registered[1]

    def _whole(self) -> tuple[AsOf, list[DeviceStatus]]:
        position = self._position()
        if position is None:
            return self._ask()
        if self._kept is None or self._kept[0] != position:
            self._kept = (position, self._ask())
        return self._kept[1]

    def _ask(self) -> tuple[AsOf, list[DeviceStatus]]:
        as_of = self._context.rate.as_of()
        return as_of, self._context.rate.devices(as_of.at_us)

    def _position(self) -> _Position | None:
        """None while the collector is silent: then every instant has an answer of its own."""
        if self._context.rate.as_of().stale:
            return None
        with self._context.db.read() as connection:
            mark = coverage.watermark(connection)
            version = registry.version(connection)
        return None if mark is None else _Position(mark.through_us, mark.session, version)

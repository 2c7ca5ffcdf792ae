"""The data-sharing ratio as the scheduler published it, for the broker: read when there is a newer value."""

from sqlalchemy import Connection

from pulse.indicators.sharing_present import NAME
from pulse.stores.relational import published
from pulse.stores.relational.published import PublishedValue


class SharingValues:
    """Follows the published values. The methods belong to one thread."""

    def __init__(self) -> None:
        self._last: PublishedValue | None = None

    @property
    def last(self) -> PublishedValue | None:
        """The newest value that was read."""
        return self._last

    def newer(self, connection: Connection) -> PublishedValue | None:
        """The newest value if it is another one than last time."""
        reached_us = None if self._last is None else self._last.at_us
        if published.newest_at(connection, NAME) == reached_us:
            return None
        self._last = published.latest(connection, NAME)
        return self._last

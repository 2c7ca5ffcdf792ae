"""Which devices are in service when, in the few columns that tell it, for all of a large fleet."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from pulse.stores.relational.tables import devices


class Service(NamedTuple):
    """A device is in service in `[commissioned_us, retired_us)`; None: not yet, or until further notice."""

    device: str
    community: str
    kind: str
    commissioned_us: int | None
    retired_us: int | None

    def at(self, at_us: int) -> bool:
        """Whether it was in service then."""
        return (
            self.commissioned_us is not None
            and self.commissioned_us <= at_us
            and (self.retired_us is None or at_us < self.retired_us)
        )


def times(connection: Connection) -> Iterator[Service]:
    """Every registered device."""
    columns = [devices.c[name] for name in ("id", "community", "kind", "commissioned_us", "retired_us")]
    return (Service(*row) for row in connection.execute(select(*columns).execution_options(yield_per=10_000)))

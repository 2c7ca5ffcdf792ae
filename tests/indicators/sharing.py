"""A site whose communities share data: kinds, receipts and a source device's states, put in by hand."""

from collections.abc import Iterable
from pathlib import Path

from pulse.indicators.data_sharing import DataSharing
from pulse.sharing.catalogue import DataKind, Version
from pulse.sharing.receipts import Part, Receipt
from pulse.stores.relational import catalogue, receipts
from tests.indicators.site import LONG_AGO, Site, us


def data_kind(name: str, *sources: str, freshness_s: float = 100.0, quiet: bool = False) -> DataKind:
    """A kind of data."""
    return DataKind(
        id=name,
        name_zh=f"{name} 数据",
        name_en=name,
        sources=sources,
        schema={"type": "object"},
        freshness_s=freshness_s,
        quiet=quiet,
    )


def part(
    kind: str,
    *,
    last: float | None = None,
    community: str = "xinjinglou",
    count: int | None = None,
    quiet: tuple[float, float] | None = None,
) -> Part:
    """A part of a receipt; times are seconds from `T0`."""
    return Part(
        data_kind=kind,
        community=community,
        count=count if count is not None else int(last is not None),
        first_us=None if last is None else us(last),
        last_us=None if last is None else us(last),
        quiet_from_us=None if quiet is None else us(quiet[0]),
        quiet_until_us=None if quiet is None else us(quiet[1]),
    )


class SharingSite(Site):
    """The same with catalogue and receipts."""

    def __init__(self, folder: Path, *, database_url: str | None = None) -> None:
        super().__init__(folder, database_url=database_url)
        self.sharing = DataSharing(self.db, self.rate.library, self.clock)
        self._deliveries = 0

    def declare(self, *kinds: DataKind, since: float = LONG_AGO, recorded: float | None = None) -> None:
        """Let kinds be in the catalogue."""
        known_us = us(since if recorded is None else recorded)
        with self.db.write() as connection:
            catalogue.append(connection, [Version(kind.id, us(since), known_us, kind) for kind in kinds])

    def withdraw(self, name: str, since: float, recorded: float | None = None) -> None:
        """Let a kind leave the catalogue."""
        with self.db.write() as connection:
            known_us = us(since if recorded is None else recorded)
            catalogue.append(connection, [Version(name, us(since), known_us, None)])

    def acknowledge(
        self, at: float, parts: Iterable[Part], *, outlet: str = "police", recorded: float | None = None
    ) -> Receipt:
        """A department's receipt."""
        self._deliveries += 1
        made = Receipt(
            outlet,
            f"{outlet}-{self._deliveries}",
            f"{self._deliveries:064x}",
            tuple(parts),
            '{"status":200}',
            us(at - 1),
            us(at),
            us(at if recorded is None else recorded),
        )
        with self.db.write() as connection:
            return receipts.append(connection, made)


def states_of(answer: dict[str, object]) -> dict[str, tuple[str, str]]:
    """State and reason of every kind of an answer."""
    kinds = answer["kinds"]
    assert isinstance(kinds, list)
    return {kind["id"]: (kind["state"], kind["reason"]) for kind in kinds}

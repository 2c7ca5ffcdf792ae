"""Why the published online rate of a period differs from what is known of it now, device by device."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pulse.clock import SECOND_US, Clock, to_iso
from pulse.indicators.books import Library
from pulse.indicators.online_rate import NAME, check_period
from pulse.indicators.present import change, described, of_compact
from pulse.indicators.within import Within, covers
from pulse.ledger.difference import Changed, Moments, Reason, Said, changes, now_known
from pulse.ledger.model import Device
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, Known
from pulse.stores.relational import intervals, published
from pulse.stores.relational.database import Database
from pulse.stores.relational.published import PublishedValue

UNEXPLAINED = "unexplained"
"""What the published figures differ by from those that the books give for the same moment and knowledge."""


class Asked(NamedTuple):
    """`[from_us, to_us)`, by what is known at `known_us` (None: now), of one community or all (None)."""

    from_us: int
    to_us: int
    known_us: int | None = None
    community: str | None = None


class Explanation(NamedTuple):
    """What was published over a period, what is known of it, and the differences; amounts are device-time.

    `published` and `known` are the figures of all published moments, each of them weighed by the time until
    the next; `changed` are the devices of which something else is known now than was published.
    """

    asked: Asked
    known_us: int
    values: list[PublishedValue]
    published: Figures
    known: Figures
    changed: list[Changed]

    def shares(self) -> dict[str, Figures]:
        """Each reason's part of the difference; with what is unexplained they add up to it."""
        parts: dict[str, Figures] = {reason.value: Figures() for reason in Reason}
        rest = _minus(self.known, self.published)
        for one in self.changed:
            for reason, figures in one.shares.items():
                parts[reason.value].add(figures)
                rest = _minus(rest, figures)
        return parts | {UNEXPLAINED: rest}

    def devices_of(self, reason: str) -> int:
        """How many devices a reason concerns."""
        return sum(reason in one.shares for one in self.changed)


class Explaining:
    """Explains from what the database knows; safe to use from many threads."""

    def __init__(self, db: Database, library: Library, clock: Clock) -> None:
        self._db = db
        self._library = library
        self._clock = clock

    def explain(self, asked: Asked, within: Within = None) -> Explanation:
        """The differences over the period, of the communities `within`.

        Raises `BadInput` for a period that is none or lies in the future.
        """
        check_period(asked.from_us, asked.to_us)
        _, as_of = self._library.moment(asked.to_us)
        known_us = self._library.knowledge(asked.to_us, asked.known_us, as_of)
        chosen = within if asked.community is None else frozenset({asked.community})
        with self._db.read() as connection:
            values = published.series(connection, NAME, asked.from_us, asked.to_us)
            runs = intervals.all_ever(connection, values[0].at_us, values[-1].at_us + 1) if values else {}
        opened = self._library.open(asked.from_us, asked.to_us, known_us, [])
        books = opened.books._replace(
            devices=[d for d in opened.books.devices if covers(chosen, d.community)]
        )
        moments = Moments(_said(values, asked.to_us))
        return Explanation(
            asked,
            known_us,
            values,
            _published(values, moments, chosen),
            _known(books, runs, opened.known, moments),
            list(changes(books, runs, moments, known_us)),
        )

    def answer(self, found: Explanation, limit: int) -> dict[str, Any]:
        """The explanation as the API and the command give it, with the `limit` most changed devices.

        Amounts are device-seconds.
        """
        shares = found.shares()
        ordered = sorted(found.changed, key=lambda one: (-_size(one), one.device.id))
        return {
            "name": NAME,
            "from": to_iso(found.asked.from_us),
            "to": to_iso(found.asked.to_us),
            "known_at": to_iso(found.known_us),
            "calculated_at": to_iso(self._clock.now_us()),
            "community": found.asked.community,
            "unit": "device_seconds",
            "values": len(found.values),
            "first": to_iso(found.values[0].at_us) if found.values else None,
            "last": to_iso(found.values[-1].at_us) if found.values else None,
            "published": described(found.published, SECOND_US),
            "known": described(found.known, SECOND_US),
            "difference": change(_minus(found.known, found.published), SECOND_US),
            "reasons": [
                {"reason": reason, "devices": found.devices_of(reason), "change": change(share, SECOND_US)}
                for reason, share in shares.items()
            ],
            "devices_changed": len(ordered),
            "devices": [_item(one.device, one.shares) for one in ordered[:limit]],
        }


def _said(values: Sequence[PublishedValue], to_us: int) -> list[Said]:
    moments = [value.at_us for value in values]
    # Each stood until the next one.
    stood = [end - at_us for at_us, end in pairwise([*moments, to_us])]
    return [Said(value.at_us, value.known_us, weight) for value, weight in zip(values, stood, strict=True)]


def _published(values: Sequence[PublishedValue], moments: Moments, chosen: Within) -> Figures:
    total = Figures()
    for value, said in zip(values, moments.said, strict=True):
        for community, part in value.figures["by_community"].items():
            if covers(chosen, community):
                _add(total, of_compact(part), said.weight)
    return total


def _known(books: Books, runs: Mapping[str, Sequence[Any]], known: Known, moments: Moments) -> Figures:
    total = Figures()
    for device in books.devices:
        total.add(now_known(device, runs.get(device.id, ()), known, moments))
    return total


def _add(total: Figures, figures: Figures, weight: int) -> None:
    total.add(
        Figures(
            [amount * weight for amount in figures.amounts],
            figures.online_raw * weight,
            figures.unknown_raw * weight,
        )
    )


def _minus(left: Figures, right: Figures) -> Figures:
    return Figures(
        [a - b for a, b in zip(left.amounts, right.amounts, strict=True)],
        left.online_raw - right.online_raw,
        left.unknown_raw - right.unknown_raw,
    )


def _size(one: Changed) -> int:
    """How much of a device's time is told otherwise."""
    return sum(abs(amount) for share in one.shares.values() for amount in share.amounts)


def _item(device: Device, shares: Mapping[Reason, Figures]) -> dict[str, Any]:
    return {
        "id": device.id,
        "community": device.community,
        "kind": device.kind,
        "reasons": [
            {"reason": reason.value, "change": change(shares[reason], SECOND_US)}
            for reason in Reason
            if reason in shares
        ],
    }

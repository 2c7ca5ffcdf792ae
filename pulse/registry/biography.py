"""The life of a device as a list of what happened, each with its time and who said so. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from pulse.ledger.model import EVER
from pulse.registry.model import DeviceRecord

PLACE = ("community", "building", "location")
_LIFE = {"commissioned_us", "retired_us", "commissioned_recorded_us", "retired_recorded_us"}


class Said(NamedTuple):
    """A form of a device's record, said at `since_us` (`EVER`: before that was kept) by somebody."""

    record: DeviceRecord
    since_us: int
    by: str


class Event(NamedTuple):
    """`what` happened at `at_us`, known since `known_us` (None: before that was kept) by `by`.

    `before` and `after` are the members that it changed.
    """

    what: str
    at_us: int | None
    known_us: int | None
    by: str
    before: Mapping[str, object] = {}
    after: Mapping[str, object] = {}


def events(first_heard_us: int | None, forms: Sequence[Said]) -> list[Event]:
    """What happened, by when it became known.

    `discovered` (nobody had registered it yet), `registered`, `commissioned`, `moved`, `changed`, `retired`.
    """
    found: list[Event] = []
    if forms:
        first = forms[0]
        known_us = None if first.since_us == EVER else first.since_us
        if first_heard_us is not None and (known_us is None or first_heard_us < known_us):
            found.append(Event("discovered", first_heard_us, first_heard_us, ""))
        found.append(Event("registered", known_us, known_us, first.by, after=_place(first.record)))
        found += _life(None, first)
    for before, after in pairwise(forms):
        found += _between(before.record, after)
    return found


def _between(before: DeviceRecord, after: Said) -> Iterable[Event]:
    was, now = before._asdict(), after.record._asdict()
    differing = [name for name in now if was[name] != now[name]]
    for what, members in (
        ("moved", [name for name in differing if name in PLACE]),
        ("changed", [name for name in differing if name not in PLACE and name not in _LIFE]),
    ):
        if members:
            yield Event(
                what,
                after.since_us,
                after.since_us,
                after.by,
                {name: was[name] for name in members},
                {name: now[name] for name in members},
            )
    yield from _life(before, after)


def _life(before: DeviceRecord | None, after: Said) -> Iterable[Event]:
    for what in ("commissioned", "retired"):
        was = None if before is None else getattr(before, f"{what}_us")
        at_us = getattr(after.record, f"{what}_us")
        if at_us != was:
            known_us = getattr(after.record, f"{what}_recorded_us") or after.since_us
            known_us = None if known_us == EVER else known_us
            said = {} if was is None else {f"{what}_us": was}
            yield Event(what, at_us, known_us, after.by, said, {f"{what}_us": at_us})


def _place(record: DeviceRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in PLACE if getattr(record, name)}

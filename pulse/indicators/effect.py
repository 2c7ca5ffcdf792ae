"""What a maintenance entry would change, worked out beside the books and saved nowhere."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pulse.clock import SECOND_US, to_iso
from pulse.indicators.books import Library, Opened
from pulse.indicators.present import described
from pulse.indicators.within import Within, covers
from pulse.ledger.model import EVER, Maintenance, State
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Known, Query, device_figures


class Change(NamedTuple):
    """Figures without the entry and with it."""

    before: Figures
    after: Figures


class Effect(NamedTuple):
    """The change over `[from_us, to_us)` in device-microseconds, and at `at_us` in devices.

    By community, those that the entry concerns, which are in `concerned`; None stands for all together. The
    period is the part of the entry that is past already, and empty (`from_us == to_us`) where nothing is.
    """

    from_us: int
    to_us: int
    at_us: int
    devices: int
    """How many devices the entry is about."""
    concerned: tuple[str, ...]
    period: dict[str | None, Change]
    now: dict[str | None, Change]


def effect(library: Library, windows: Sequence[Maintenance], within: Within = None) -> Effect:
    """What `windows` would change if they counted, by what is known now; figures of the communities `within`.

    When they were recorded or cancelled does not matter.
    """
    at_us, _ = library.moment(None)
    added = [window._replace(recorded=EVER) for window in windows]
    from_us = min((window.start for window in added), default=at_us)
    to_us = max(from_us, min(max((window.end for window in added), default=at_us), at_us))
    now = library.open(at_us, at_us + 1, at_us)
    # Of every instant at which it holds, before now or after.
    names = Known(now.books._replace(maintenance=added), at_us)
    chosen = [device for device in now.books.devices if covers(within, device.community)]
    about = [device for device in chosen if names.maintenance(device)]
    concerned = tuple(sorted({device.community for device in about}))
    period: dict[str | None, Change] = {}
    if from_us < to_us:
        past = library.open(from_us, to_us, at_us)
        period = _changes(past, added, within, concerned, Query(from_us, to_us, at_us))
    instant = _changes(now, added, within, concerned, Query(at_us, None, at_us))
    return Effect(from_us, to_us, at_us, len(about), concerned, period, instant)


def shown(found: Effect) -> dict[str, Any]:
    """The effect as the API gives it: online rates as everywhere, without the entry and with it."""

    def compared(changes: dict[str | None, Change], unit: int) -> dict[str, Any] | None:
        if not changes:
            return None
        return {
            "all": _pair(changes[None], unit),
            "by_community": {c: _pair(changes[c], unit) for c in found.concerned},
        }

    return {
        "from": to_iso(found.from_us),
        "to": to_iso(found.to_us),
        "at": to_iso(found.at_us),
        "devices": found.devices,
        "period": compared(found.period, SECOND_US),
        "now": compared(found.now, 1),
    }


def kept(found: Effect) -> dict[str, Any]:
    """What the audit log keeps of it: the adjusted rate of each community concerned, numbers exact."""
    return {
        community: {
            name: [figures.of(State.ONLINE), figures.judged]
            for name, figures in zip(("before", "after"), change, strict=True)
        }
        for community, change in (found.period or found.now).items()
        if community is not None
    }


def _pair(change: Change, unit: int) -> dict[str, Any]:
    return {"before": described(change.before, unit), "after": described(change.after, unit)}


def _changes(
    opened: Opened, added: Sequence[Maintenance], within: Within, concerned: Sequence[str], query: Query
) -> dict[str | None, Change]:
    books = opened.books
    after = Known(books._replace(maintenance=[*books.maintenance, *added]), query.known_at)
    found: dict[str | None, Change] = {
        community: Change(Figures(), Figures()) for community in (None, *concerned)
    }
    for device in books.devices:
        if not covers(within, device.community):
            continue
        runs = opened.runs.get(device.id, ())
        before_it = device_figures(device, runs, opened.known, query)
        with_it = before_it
        if len(after.maintenance(device)) != len(opened.known.maintenance(device)):
            with_it = device_figures(device, runs, after, query)
        for community in (None, device.community):
            if community in found:
                found[community].before.add(before_it)
                found[community].after.add(with_it)
    return found

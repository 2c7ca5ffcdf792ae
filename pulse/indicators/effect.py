"""What an entry would change, worked out beside the books and saved nowhere."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pulse.clock import SECOND_US, to_iso
from pulse.indicators.books import Library, Opened
from pulse.indicators.present import described
from pulse.indicators.within import Within, covers
from pulse.ledger.model import EVER, Device, Maintenance, State
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, Known, Query, device_figures
from pulse.registry.lives import COMMISSION, RETIRE, Step

Suppose = Callable[[Books], Books]
"""The books as they would be."""


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


def of_windows(library: Library, windows: Sequence[Maintenance], within: Within = None) -> Effect:
    """What maintenance windows would change if they counted, by what is known now.

    Figures are those of the communities `within`. When the windows were recorded does not matter.
    """
    added = [window._replace(recorded=EVER) for window in windows]
    begins = min((window.start for window in added), default=None)
    ends = max((window.end for window in added), default=None)
    return _effect(
        library, lambda books: books._replace(maintenance=[*books.maintenance, *added]), begins, ends, within
    )


def of_step(library: Library, step: Step, within: Within = None) -> Effect:
    """What a step in a device's life would change, likewise."""
    return _effect(library, lambda books: _stepped(books, step), step.at_us, None, within)


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
    """What the audit log keeps of it: both rates of each community concerned, numbers exact."""
    return {
        community: {
            name: {
                "raw": [figures.online_raw, figures.in_service],
                "adjusted": [figures.of(State.ONLINE), figures.judged],
            }
            for name, figures in zip(("before", "after"), change, strict=True)
        }
        for community, change in (found.period or found.now).items()
        if community is not None
    }


def _effect(
    library: Library, suppose: Suppose, begins_us: int | None, ends_us: int | None, within: Within
) -> Effect:
    at_us, _ = library.moment(None)
    from_us = at_us if begins_us is None else begins_us
    to_us = max(from_us, at_us if ends_us is None else min(ends_us, at_us))
    now = library.open(at_us, at_us + 1, at_us)
    supposed = suppose(now.books)
    after = Known(supposed, at_us)
    before = {device.id: device for device in now.books.devices}
    about = [
        device
        for device in supposed.devices
        if covers(within, device.community) and _differs(before.get(device.id), device, now.known, after)
    ]
    concerned = tuple(sorted({device.community for device in about}))
    period: dict[str | None, Change] = {}
    if from_us < to_us:
        past = library.open(from_us, to_us, at_us)
        query = Query(from_us, to_us, at_us)
        period = _changes(past, suppose(past.books), within, concerned, query)
    instant = _changes(now, supposed, within, concerned, Query(at_us, None, at_us))
    return Effect(from_us, to_us, at_us, len(about), concerned, period, instant)


def _stepped(books: Books, step: Step) -> Books:
    devices = []
    known = {device.id for device in books.devices}
    for device in books.devices:
        if device.id == step.device and step.what == COMMISSION:
            devices.append(device._replace(commissioned=step.at_us, commissioned_recorded=EVER))
        elif device.id == step.device:
            devices.append(device._replace(retired=step.at_us, retired_recorded=EVER))
            if step.what != RETIRE and step.successor not in known:
                devices.append(_begun(device._replace(id=step.successor or ""), step.at_us))
        elif device.id == step.successor:
            devices.append(_begun(device, step.at_us))
        else:
            devices.append(device)
    return books._replace(devices=devices)


def _begun(device: Device, at_us: int) -> Device:
    return device._replace(commissioned=at_us, commissioned_recorded=EVER, retired=None)


def _differs(before: Device | None, device: Device, known: Known, after: Known) -> bool:
    """Whether an entry is about a device: its life is another, or windows cover it that did not."""
    return before != device or len(known.maintenance(device)) != len(after.maintenance(device))


def _pair(change: Change, unit: int) -> dict[str, Any]:
    return {"before": described(change.before, unit), "after": described(change.after, unit)}


def _changes(
    opened: Opened, supposed: Books, within: Within, concerned: Sequence[str], query: Query
) -> dict[str | None, Change]:
    after = Known(supposed, query.known_at)
    before = {device.id: device for device in opened.books.devices}
    found: dict[str | None, Change] = {
        community: Change(Figures(), Figures()) for community in (None, *concerned)
    }
    for device in supposed.devices:
        if not covers(within, device.community):
            continue
        runs = opened.runs.get(device.id, ())
        was = before.get(device.id)
        without = Figures() if was is None else device_figures(was, runs, opened.known, query)
        with_it = without
        if _differs(was, device, opened.known, after):
            with_it = device_figures(device, runs, after, query)
        for community in (None, device.community):
            if community in found:
                found[community].before.add(without)
                found[community].after.add(with_it)
    return found

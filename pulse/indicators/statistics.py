"""Statistics of devices over a period, asked of the database: availability, outages, repairs, flapping."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from pulse.clock import DAY_US, SECOND_US, Clock, to_iso
from pulse.errors import NotFound
from pulse.indicators.books import Library, Opened
from pulse.indicators.online_rate import check_period
from pulse.indicators.reliability import described_device, described_group
from pulse.indicators.within import Within, covers
from pulse.ledger.answer import Stretch, timeline
from pulse.ledger.flapping import FlapTerms
from pulse.ledger.model import Device, Run
from pulse.ledger.outages import reaches_back
from pulse.ledger.replay import Known, Query, device_figures
from pulse.ledger.statistics import Meeting, Tally, tallied
from pulse.settings import Settings

DEFAULT_DAYS = 30
"""The period that is looked at when none is given, up to now."""

DEFAULT_THRESHOLD = 95_000
"""Thousandths of a percent."""

FIRST_REACH_US = DAY_US
"""How far before the period is read for every device; nearly all were online within that time."""

_REMEMBERED_US = 10 * SECOND_US
"""How old the answer about who flaps now may be: it takes half an hour to become otherwise."""


class Chosen(NamedTuple):
    """Which devices are asked about; None stands for all."""

    within: Within = None
    community: str | None = None
    kind: str | None = None
    device: str | None = None

    def covers(self, device: Device) -> bool:
        """Whether a device is one of them."""
        return (
            covers(self.within, device.community)
            and self.community in {None, device.community}
            and self.kind in {None, device.kind}
            and self.device in {None, device.id}
        )


EVERY = Chosen()


class Period(NamedTuple):
    """`[from_us, to_us)` as known at `known_us`."""

    from_us: int
    to_us: int
    known_us: int


class Own(NamedTuple):
    """What one device did."""

    device: Device
    tally: Tally


class Group:
    """Devices together."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.meeting = Meeting()

    def add(self, tally: Tally, threshold: int) -> None:
        """Count one device in."""
        self.tally.add(tally)
        self.meeting.add(tally.figures, threshold)


def flap_terms(settings: Settings) -> FlapTerms:
    """What makes a device flap in this installation."""
    return FlapTerms(settings.flap_changes, settings.flap_window_us())


class Statistics:
    """Answers from what the database knows; safe to use from many threads."""

    def __init__(self, library: Library, clock: Clock, terms: FlapTerms) -> None:
        self._library = library
        self._clock = clock
        self._terms = terms
        self._lock = threading.Lock()
        self._flapping: tuple[int, frozenset[str]] = (0, frozenset())

    def period(self, from_us: int | None, to_us: int | None, known_us: int | None) -> Period:
        """The period that is asked about: by default the last 30 days, as known now. Raises `BadInput`."""
        at_us, as_of = self._library.moment(to_us)
        begin_us = at_us - DEFAULT_DAYS * DAY_US if from_us is None else from_us
        check_period(begin_us, at_us)
        return Period(begin_us, at_us, self._library.knowledge(at_us, known_us, as_of))

    def devices(self, period: Period, chosen: Chosen = EVERY) -> list[Own]:
        """What each device did that was in service at some time of the period, by id."""
        found = [own for own in self._tallies(period, chosen) if own.tally.devices]
        found.sort(key=lambda own: own.device.id)
        return found

    def answer(
        self, period: Period, chosen: Chosen = EVERY, threshold: int = DEFAULT_THRESHOLD
    ) -> dict[str, Any]:
        """All chosen devices together, and by community and kind, with the devices above a threshold.

        `threshold` is an availability in thousandths of a percent.
        """
        whole = Group()
        by_community: dict[str, Group] = {}
        by_kind: dict[str, Group] = {}
        for device, tally in self.devices(period, chosen):
            whole.add(tally, threshold)
            by_community.setdefault(device.community, Group()).add(tally, threshold)
            by_kind.setdefault(device.kind, Group()).add(tally, threshold)
        return {
            **described_group(whole.tally, whole.meeting, threshold),
            "by_community": _parts(by_community, threshold),
            "by_kind": _parts(by_kind, threshold),
            **self.about(period),
        }

    def device(self, device: str, period: Period) -> dict[str, Any]:
        """One device, in service or not. Raises `NotFound`."""
        for own in self._tallies(period, Chosen(device=device)):
            return {**described_device(own.tally), **self.about(period)}
        raise NotFound(f"没有登记设备 {device} / no device {device} is registered")

    def about(self, period: Period) -> dict[str, Any]:
        """What an answer says of itself: its period, its knowledge, and what counts as flapping."""
        return {
            "from": to_iso(period.from_us),
            "to": to_iso(period.to_us),
            "known_at": to_iso(period.known_us),
            "calculated_at": to_iso(self._clock.now_us()),
            "flapping_terms": {
                "changes": self._terms.changes,
                "window_s": self._terms.window / SECOND_US,
            },
        }

    def flapping_now(self) -> frozenset[str]:
        """The devices that flap now, or did some seconds ago."""
        at_us, _ = self._library.moment(None)
        with self._lock:
            known_us, found = self._flapping
            if not 0 <= at_us - known_us < _REMEMBERED_US:
                own = self._tallies(Period(at_us - 1, at_us, at_us), EVERY)
                found = frozenset(device.id for device, tally in own if tally.flapping)
                self._flapping = (at_us, found)
        return found

    def _tallies(self, period: Period, chosen: Chosen) -> list[Own]:
        """What each chosen device did, in service or not.

        Of those whose last days do not tell since when they are down, or have been flapping, more and more
        of the past is read, in growing steps.
        """
        begin_us = period.from_us - max(FIRST_REACH_US, 2 * self._terms.window)
        only = None if chosen.device is None else [chosen.device]
        opened = self._library.open(begin_us, period.to_us, period.known_us, only)
        asked = [device for device in opened.books.devices if chosen.covers(device)]
        # Whoever was not in service at the beginning has no past before it.
        begins_us = min((device.commissioned for device in asked), default=begin_us)
        pasts: dict[str, list[Stretch]] = {}
        waiting, runs = asked, opened.runs
        while waiting:
            pasts |= {
                device.id: _states(device, runs.get(device.id, ()), opened.known, begin_us, period.from_us)
                for device in waiting
            }
            if begin_us <= begins_us:
                break
            waiting = [d for d in waiting if not reaches_back(pasts[d.id], period.from_us, self._terms)]
            # Before the first start hardly anything is known: what there is, is read at once.
            begin_us = (
                begins_us
                if begin_us <= opened.books.start
                else max(begins_us, period.from_us - 8 * (period.from_us - begin_us))
            )
            if waiting:
                ids = [device.id for device in waiting]
                runs = self._library.open(begin_us, period.from_us, period.known_us, ids).runs
        return [self._tally(device, pasts[device.id], opened, period) for device in asked]

    def _tally(self, device: Device, past: list[Stretch], opened: Opened, period: Period) -> Own:
        known, runs = opened.known, opened.runs.get(device.id, ())
        figures = device_figures(device, runs, known, Query(*period))
        stretches = [*past, *_states(device, runs, known, period.from_us, period.to_us)]
        return Own(device, tallied(device.id, stretches, figures, period.from_us, period.to_us, self._terms))


def _states(device: Device, runs: Sequence[Run], known: Known, start: int, end: int) -> list[Stretch]:
    listening, windows = known.listening(device), known.maintenance(device)
    return timeline(device, runs, listening, windows, start, end, known.known_at)


def _parts(groups: dict[str, Group], threshold: int) -> dict[str, Any]:
    return {
        name: described_group(group.tally, group.meeting, threshold) for name, group in sorted(groups.items())
    }


def worst(own: Sequence[Own]) -> list[Own]:
    """The devices that were down, the longest time down first; of equals by id."""
    return sorted((one for one in own if one.tally.down), key=lambda one: (-one.tally.down, one.device.id))

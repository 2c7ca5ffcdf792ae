"""智慧设备在线率: devices running normally over devices in service, now, in the past, over a period."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from pulse.clock import SECOND_US, Clock, to_iso
from pulse.errors import BadInput, NotFound
from pulse.indicators import safeguards
from pulse.indicators.books import AsOf, Library, Opened, Worked
from pulse.indicators.present import described, scored
from pulse.indicators.safeguards import Safeguards
from pulse.indicators.within import Kept, Within, covers
from pulse.ledger.answer import Stretch, timeline
from pulse.ledger.model import EVER, FOREVER, Device, Evidence, Run, State
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Query, device_figures
from pulse.ledger.totals import Totals
from pulse.stores.relational.database import Database

NAME = "online-rate"


class DeviceStatus(NamedTuple):
    """One device at one moment.

    `state` and `cause` are slugs. `since_us` is when it came into its state, None if that was never seen; of
    a living one whose past was pieced together from late evidence it may be where the last piece begins.
    `evidence_us` is the time of the last evidence where the runs tell it (a device that is alive shows its
    in the raw messages), `deadline_us` when it had to be heard again, of a device that fell silent.
    """

    device: str
    community: str
    kind: str
    state: str
    since_us: int | None
    cause: str
    evidence_us: int | None
    deadline_us: int | None


class StateInterval(NamedTuple):
    """`[start_us, end_us)` in one state (a slug)."""

    state: str
    start_us: int
    end_us: int


class Whole(NamedTuple):
    """Figures of all devices and of each community and kind."""

    all: Figures
    by_community: dict[str, Figures]
    by_kind: dict[str, Figures]

    def add(self, community: str, kind: str, own: Figures) -> None:
        """Count devices of one community and kind in."""
        self.all.add(own)
        self.by_community.setdefault(community, Figures()).add(own)
        self.by_kind.setdefault(kind, Figures()).add(own)


class OnlineRate:
    """Answers about the online rate from what the database knows; safe to use from many threads."""

    def __init__(self, db: Database, clock: Clock, default_timeout_s: float = 180.0) -> None:
        self._library = Library(db, clock, default_timeout_s)
        self._clock = clock
        self._lock = threading.Lock()
        self._now: Kept[tuple[int, dict[str, Any]]] = Kept()

    @property
    def library(self) -> Library:
        """The books that its answers start from."""
        return self._library

    def as_of(self) -> AsOf:
        """Up to when the database is complete, and whether the collector hears anything."""
        return self._library.as_of()

    def instant(
        self, at_us: int | None = None, known_us: int | None = None, within: Within = None
    ) -> dict[str, Any]:
        """The rate at one moment, "now" by default, as known at `known_us`, now by default.

        All its figures are those of the communities `within`. Raises `BadInput` for a moment in the future
        or past its own knowledge time.
        """
        at, as_of = self._library.moment(at_us)
        known = self._knowledge(at, known_us, as_of)
        is_now = at_us is None and known_us is None and not as_of.stale
        if is_now:
            with self._lock:
                kept = self._now.get(within)
                if kept is not None and kept[0] == at:
                    return kept[1]
        answer = self._answered(Query(at, None, known), within)
        if is_now:
            with self._lock:
                self._now.put(within, (at, answer))
        return answer

    def period(
        self, from_us: int, to_us: int, known_us: int | None = None, within: Within = None
    ) -> dict[str, Any]:
        """The rate over `[from_us, to_us)` in device-seconds, as known at `known_us`. Raises `BadInput`.

        All its figures are those of the communities `within`.
        """
        check_period(from_us, to_us)
        _, as_of = self._library.moment(to_us)
        known = self._knowledge(to_us, known_us, as_of)
        return self._answered(Query(from_us, to_us, known), within)

    def figures(self, start_us: int, end_us: int | None, known_us: int, within: Within = None) -> Whole:
        """Exact figures: devices at an instant (`end_us` None), device-microseconds over a period.

        Only devices of the communities `within` are in them.
        """
        query = Query(start_us, end_us, known_us)
        return _summed(self._worked(query).totals, within)

    def _worked(self, query: Query) -> Worked:
        to_us = query.start + 1 if query.end is None else query.end
        return self._library.worked(query.start, to_us, query.known_at)

    def _answered(self, query: Query, within: Within) -> dict[str, Any]:
        worked = self._worked(query)
        guards = safeguards.gathered(worked, query, self._library.planned(), within)
        return self._answer(_summed(worked.totals, within), guards, query)

    def devices(
        self, at_us: int | None = None, known_us: int | None = None, within: Within = None
    ) -> list[DeviceStatus]:
        """Every registered device of the communities `within` at one moment, by id."""
        at, as_of = self._library.moment(at_us)
        known = self._knowledge(at, known_us, as_of)
        opened = self._library.open(at, at + 1, known, [])
        last = self._library.last_runs(at, known)
        return [
            self._status(d, last.get(d.id), opened, at, as_of)
            for d in opened.books.devices
            if covers(within, d.community)
        ]

    def device(self, device: str, at_us: int | None = None, known_us: int | None = None) -> DeviceStatus:
        """One device at one moment. Raises `NotFound`."""
        at, as_of = self._library.moment(at_us)
        known = self._knowledge(at, known_us, as_of)
        opened = self._library.open(at, at + 1, known, [])
        last = self._library.last_runs(at, known, [device])
        return self._status(_registered(opened, device), last.get(device), opened, at, as_of)

    def timeline(
        self, device: str, from_us: int, to_us: int, known_us: int | None = None
    ) -> list[StateInterval]:
        """The states of one device through `[from_us, to_us)`; they fill the period.

        Raises `NotFound` and `BadInput`.
        """
        check_period(from_us, to_us)
        _, as_of = self._library.moment(to_us)
        known = self._knowledge(to_us, known_us, as_of)
        opened = self._library.open(from_us, to_us, known, [device])
        stretches = _timeline(
            _registered(opened, device), opened.runs.get(device, ()), opened, from_us, to_us
        )
        return [StateInterval(s.state.slug, s.start, s.end) for s in stretches]

    def _status(self, device: Device, run: Run | None, opened: Opened, at: int, as_of: AsOf) -> DeviceStatus:
        last = self._last_stretch(device, run, opened, at)
        evidence = deadline = None
        # Behind a stale watermark a run ends where the writing did, which is nobody's deadline.
        cut = as_of.blind_since_us if as_of.stale else None
        if run is not None and run.evidence is Evidence.OFFLINE:
            evidence = run.since
        elif run is not None and run.end <= at and run.end != cut:
            deadline = run.end
            evidence = _last_beat(device, run)
        seen = EVER < last.start < FOREVER and last.state is not State.NOT_COMMISSIONED
        return DeviceStatus(
            device.id,
            device.community,
            device.kind,
            last.state.slug,
            last.start if seen else None,
            _cause(device, run, last.state, opened, at),
            evidence,
            deadline,
        )

    def _last_stretch(self, device: Device, run: Run | None, opened: Opened, at: int) -> Stretch:
        """The state at `at` with its beginning, which may lie before the last run."""
        served = min(device.commissioned, at)
        if run is None:
            return _timeline(device, (), opened, served, at + 1)[-1]
        runs = [run]
        last = _timeline(device, runs, opened, run.start, at + 1)[-1]
        if last.state in {State.RETIRED, State.EXCLUDED}:
            windows = opened.known.maintenance(device)
            begin = min([served, *(window.start for window in windows)])
            return _timeline(device, (), opened, begin, at + 1)[-1]
        for _ in range(_MOST_RUNS_BACK):
            if last.start > runs[0].start or not _may_be_older(runs[0]):
                break
            found = self._library.last_runs(runs[0].start - 1, opened.known.known_at, [device.id])
            runs[:0] = found.values()
            begin = runs[0].start if found else min(served, runs[0].start)
            last = _timeline(device, runs, opened, begin, at + 1)[-1]
            if not found:
                break
        return last

    def _knowledge(self, at: int, known_us: int | None, as_of: AsOf) -> int:
        return self._library.knowledge(at, known_us, as_of)

    def _answer(self, whole: Whole, guards: Safeguards, query: Query) -> dict[str, Any]:
        start, end = query.start, query.end
        unit = 1 if end is None else SECOND_US

        def part(figures: Figures, community: str = "", kind: str = "") -> dict[str, Any]:
            own = safeguards.described(guards, (community, kind), figures.online_raw, unit)
            return {**described(figures, unit), **own}

        when = {"at": to_iso(start)} if end is None else {"from": to_iso(start), "to": to_iso(end)}
        return {
            **part(whole.all),
            "timeouts": safeguards.timeouts(guards),
            "unit": "devices" if end is None else "device_seconds",
            "score": scored(whole.all),
            **when,
            "known_at": to_iso(query.known_at),
            "calculated_at": to_iso(self._clock.now_us()),
            "by_community": {name: part(f, community=name) for name, f in sorted(whole.by_community.items())},
            "by_kind": {name: part(f, kind=name) for name, f in sorted(whole.by_kind.items())},
        }


def _summed(totals: Totals, within: Within) -> Whole:
    whole = Whole(Figures(), {}, {})
    for (community, kind), own in zip(totals.fleet.places, totals.by_place(), strict=True):
        if covers(within, community):
            whole.add(community, kind, own)
    return whole


def counted(opened: Opened, query: Query, within: Within = None) -> Whole:
    """The figures of one query from books that are open; only devices of the communities `within`."""
    whole = Whole(Figures(), {}, {})
    for device in opened.books.devices:
        if covers(within, device.community):
            own = device_figures(device, opened.runs.get(device.id, ()), opened.known, query)
            whole.add(device.community, device.kind, own)
    return whole


_MOST_RUNS_BACK = 100
"""How many runs the beginning of a state is looked for; one that says goodbye once more begins each."""


def _may_be_older(run: Run) -> bool:
    """Whether the state that a run gives may have begun before it: silence became a goodbye, or the run goes
    on from one that was known earlier."""
    return run.evidence is Evidence.OFFLINE or run.since < run.start


def check_period(from_us: int, to_us: int) -> None:
    if from_us >= to_us:
        raise BadInput("起始须早于结束 / from must be before to", where="from")


def _registered(opened: Opened, device: str) -> Device:
    for candidate in opened.books.devices:
        if candidate.id == device:
            return candidate
    raise NotFound(f"没有登记设备 {device} / no device {device} is registered")


def _timeline(device: Device, runs: Sequence[Run], opened: Opened, start: int, end: int) -> list[Stretch]:
    known = opened.known
    listening, windows = known.listening(device), known.maintenance(device)
    return timeline(device, runs, listening, windows, start, end, known.known_at)


def _last_beat(device: Device, run: Run) -> int:
    """When the beat came whose deadline ended the run."""
    for terms in device.terms:
        beat = run.end - terms.timeout
        if device.terms_at(beat) == terms:
            return beat
    return run.start


def _cause(device: Device, run: Run | None, state: State, opened: Opened, at: int) -> str:
    if state is not State.OFFLINE:
        return _CAUSES[state]
    if run is None:
        return "never_heard"
    if run.evidence is Evidence.OFFLINE and at < run.end:
        deaf_until = opened.known.listening(device).deaf_until(at)
        if deaf_until is None or deaf_until <= run.since:
            return "explicit_offline"
    return "deadline_passed"


_CAUSES = {
    State.ONLINE: "heartbeat",
    State.FAULT: "fault_reported",
    State.UNKNOWN: "collector_blind",
    State.EXCLUDED: "maintenance",
    State.NOT_COMMISSIONED: "not_commissioned",
    State.RETIRED: "retired",
}

"""Incidents of correlated silence beside the ledger's steps: observed, and written in their transaction."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from collector import metrics
from pulse import logs
from pulse.clock import to_iso
from pulse.ledger.correlated import Correlated, Incident, Silence
from pulse.ledger.engine import NEVER_HEARD, Engine
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import FOREVER, State
from pulse.ledger.outcome import Transition
from pulse.stores.relational import coverage, events, incidents, meta
from pulse.stores.relational.incidents import Entry

log = logs.get(__name__)


class Incidents:
    """What the keeper asks at every step; made anew with the engine, from what is stored."""

    def __init__(self, connection: Connection, engine: Engine, fleet: Fleet, through_us: int) -> None:
        """`through_us` is where the engine stands; the database may be ahead of it after a crash."""
        mark = coverage.watermark(connection)
        self._engine = engine
        self._fleet = fleet
        self._told_until_us = through_us if mark is None else max(through_us, mark.through_us)
        self._past = incidents.ended_after(connection, through_us)
        self._unwritten: dict[tuple[str, int], Incident] = {}
        self._detector = self._begun(through_us, incidents.ongoing(connection))

    def observe(self, transitions: Sequence[Transition], fleet: Fleet, now_us: int) -> None:
        """Take in what a step changed, before it is written; `fleet` is another one after a change."""
        changes = _in_order(transitions)
        positions = fleet.positions([change.device for change in changes])
        lasts = self._engine.last_evidence(positions)
        for change, position, last in zip(changes, positions.tolist(), lasts, strict=True):
            if position >= 0:
                community, _kind = fleet.places[fleet.place[position]]
                fell = change.after is State.OFFLINE and change.cause != NEVER_HEARD
                # It may have been heard again in the same step.
                when = min(last, change.at) if fell else None
                self._detector.change(change.device, community, change.before, change.after, change.at, when)
        self._collect()
        if fleet is not self._fleet:
            self._fleet = fleet
            self._detector = self._begun(now_us, self._detector.ongoing())
        # Until the ledger stands where the database does, an incident may be ahead of its silences.
        if now_us > self._told_until_us:
            self._detector.settle(now_us)
            self._collect()

    def write(self, connection: Connection, at_us: int) -> None:
        """Write what changed since the last time; twice is as good as once."""
        news = []
        for found in self._unwritten.values():
            entry = incidents.put(connection, found, at_us)
            if entry.is_over:
                _close(connection, entry, at_us)
            news.append(incidents.event(entry, at_us))
            _tell(entry)
        if news:
            events.append(connection, news)
        self._unwritten.clear()
        metrics.INCIDENTS.set(len(self._detector.ongoing()))

    def _collect(self) -> None:
        self._unwritten.update({(i.community, i.opened): i for i in self._detector.changed()})

    def _begun(self, now_us: int, ongoing: Sequence[Incident]) -> Correlated:
        """The detector over the devices, from what the engine holds."""
        fleet = self._fleet
        longest = np.zeros(len(fleet.places), dtype=np.int64)
        np.maximum.at(longest, fleet.place, fleet.terms.timeouts_of_lists(now_us)[fleet.terms.number])
        timeouts: dict[str, int] = {}
        for (community, _kind), timeout in zip(fleet.places, longest.tolist(), strict=True):
            timeouts[community] = max(timeout, timeouts.get(community, 0))
        counted = dict.fromkeys(timeouts, 0)
        for (community, _kind), figures in self._engine.counts().items():
            counted[community] += figures.judged + figures.of(State.UNKNOWN)
        found = self._engine.silences()
        places = fleet.places_of([device for device, _ in found])
        silences = [
            Silence(device, community, last)
            for (device, last), (community, _kind) in zip(found, places, strict=True)
        ]
        return Correlated(timeouts, counted, silences, ongoing, self._past)


def _in_order(transitions: Sequence[Transition]) -> list[Transition]:
    """By time, those of one device in the order in which they were told."""
    latest: dict[str, int] = {}
    keyed = []
    for number, change in enumerate(transitions):
        at = latest[change.device] = max(change.at, latest.get(change.device, change.at))
        keyed.append((at, number, change))
    return [change for _, _, change in sorted(keyed, key=lambda one: one[:2])]


def _close(connection: Connection, entry: Entry, at_us: int) -> None:
    """The silence that people confirmed as blindness has ended: so has the blind interval."""
    if entry.status != incidents.APPROVED or entry.blind_id is None or entry.approved is None:
        return
    blind = coverage.entry(connection, entry.blind_id)
    if blind.end == entry.found.ended or blind.revoked < FOREVER:
        return
    known_us = max(at_us, entry.approved.at_us)
    coverage.revoke(connection, entry.blind_id, known_us)
    closed = coverage.record(connection, blind._replace(end=entry.found.ended, recorded=known_us))
    incidents.decide(connection, entry._replace(blind_id=closed))
    meta.grow(connection, meta.COVERAGE)


def _tell(entry: Entry) -> None:
    found = entry.found
    if entry.is_over:
        log.warning("suspected_blindness_ended", incident=entry.id, ended=to_iso(found.ended))
    elif found.silent == found.devices:
        log.warning(
            "suspected_blindness",
            incident=entry.id,
            community=found.community,
            devices=found.devices,
            of=found.of,
            start=to_iso(found.start),
        )

"""What one step of the ledger writes to the database, and how."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from collector import recovery
from collector.coverage import Action, Open, Proved, Record, SetStart, Shut
from collector.flapping import Damping
from collector.publisher import indicator_body
from collector.recovery import Books, Proof
from pulse.clock import to_iso
from pulse.ledger.model import FOREVER, Blind, Run, Scope
from pulse.ledger.outcome import Outcome, Rebuilt, Transition
from pulse.ledger.rates import Figures
from pulse.messages import Message, Quarantined
from pulse.stores.relational import coverage, events, intervals, quarantine, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.events import NewEvent

AllFigures = Mapping[tuple[str, str], Figures]
"""Figures by (community, kind)."""


class Step(NamedTuple):
    """What one transaction writes, apart from the watermark."""

    rebuilt: list[Rebuilt]
    runs: list[tuple[str, Run]]
    transitions: list[Transition]
    quarantined: list[tuple[int, Quarantined]]
    discovered: list[Message]
    actions: list[Action]

    def add(self, outcome: Outcome) -> None:
        """Take in what the engine handed out."""
        self.rebuilt.extend(outcome.rebuilt)
        self.runs.extend(outcome.runs)
        self.transitions.extend(outcome.transitions)


def write(
    connection: Connection,
    step: Step,
    books: Books,
    figures: AllFigures | None,
    mark: Watermark | None,
    at_us: int,
    damping: Damping,
) -> None:
    """Write a step; twice is as good as once (a blind interval recorded twice is blind once)."""
    for device, cut, runs in step.rebuilt:
        intervals.replace_runs(connection, device, cut, runs)
    intervals.put_runs(connection, step.runs)
    quarantine.put(connection, step.quarantined)
    for message in step.discovered:
        registry.discover(connection, message.device, message.community, message.kind, message.observed_us)
    _obey(connection, step.actions)
    places = books.fleet.places_of([change.device for change in step.transitions])
    news = [
        _transition_event(change, place, at_us, damped=damped)
        for change, place, damped in zip(step.transitions, places, damping.damped, strict=True)
    ]
    news += damping.news
    if tells_coverage(step.actions) and mark is not None:
        news.append(_coverage_event(books, mark))
    if figures is not None:
        news.append(_indicator_event(figures, at_us))
    if news:
        events.append(connection, news)
    if mark is not None:
        coverage.set_watermark(connection, mark)


def tells_coverage(actions: Sequence[Action]) -> bool:
    """Whether the actions change what is known of coverage."""
    return any(not isinstance(action, Proved) for action in actions)


def _transition_event(
    change: Transition, place: tuple[str, str], recorded_us: int, *, damped: bool
) -> NewEvent:
    community, kind = place
    body = {
        "device": change.device,
        "community": community,
        "kind": kind,
        "before": change.before.slug,
        "after": change.after.slug,
        "cause": change.cause,
        **({"damped": True} if damped else {}),
    }
    key = f"{change.device}/{change.at}/{change.before.slug}/{change.after.slug}"
    return NewEvent(change.at, recorded_us, "transition", body, key)


def _coverage_event(books: Books, mark: Watermark) -> NewEvent:
    since_us = next((b.start for b in books.blinds if is_open(b)), None)
    body = {
        "listening": mark.listening,
        "blind_since": None if since_us is None else to_iso(since_us),
        "cause": next((b.cause for b in books.blinds if is_open(b)), None),
    }
    return NewEvent(mark.through_us, mark.through_us, "coverage", body)


def is_open(blind: Blind) -> bool:
    """Whether it is the gap of all devices that has not ended."""
    return blind.end == FOREVER and blind.revoked == FOREVER and blind.scope == Scope()


def obeyed(books: Books, actions: Sequence[Action]) -> tuple[int | None, list[Blind]]:
    """Start and entries that hold after the actions; what was revoked is left out."""
    start_us, blinds = books.start_us, list(books.blinds)
    for action in actions:
        match action:
            case SetStart(at_us):
                start_us = at_us
            case Open(blind) | Record(blind):
                blinds.append(blind)
            case Shut():
                blinds = [b for b in blinds if not is_open(b)]
            case Proved():
                pass
    return start_us, blinds


def _obey(connection: Connection, actions: Sequence[Action]) -> None:
    for action in actions:
        match action:
            case SetStart(at_us):
                coverage.set_start(connection, at_us)
            case Open(blind) | Record(blind):
                coverage.record(connection, blind)
            case Shut(at_us):
                for entry_id, blind in coverage.entries(connection):
                    if is_open(blind):
                        coverage.revoke(connection, entry_id, at_us)
            case Proved(at_us, dropped):
                recovery.write_proof(connection, Proof(at_us, dropped))


def summed(figures: AllFigures) -> tuple[Figures, dict[str, Figures]]:
    """The figures of everything and of each community."""
    whole, by_community = Figures(), dict[str, Figures]()
    for (community, _kind), own in figures.items():
        whole.add(own)
        by_community.setdefault(community, Figures()).add(own)
    return whole, by_community


def _indicator_event(figures: AllFigures, at_us: int) -> NewEvent:
    whole, by_community = summed(figures)
    body = indicator_body(whole, at_us)
    body["by_community"] = {name: indicator_body(own, at_us) for name, own in sorted(by_community.items())}
    return NewEvent(at_us, at_us, "indicator", body)

"""What a published value was worked out from, as digests; pure.

docs/published.md gives the exact form, so that another program can work them out too. They are made of what
the ledger's answers are made of and of nothing else: rows may be split or joined by what becomes known later,
and of an open run the end is written down later, but what was known at the value's own time does not change.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pulse.clock import HOUR_US, SECOND_US
from pulse.ledger.answer import in_service
from pulse.ledger.model import FOREVER, Device, Evidence, Run, Scope, known_blinds, known_maintenance
from pulse.ledger.replay import Books

FORM = 1
"""The form that docs/published.md describes; a change of it gets another number."""

WINDOW_US = HOUR_US
"""How far back the beginning of what evidence says is told: every interval's ends are in many values."""

SECTIONS = ("registry", "policies", "evidence", "coverage", "maintenance")

LATE_US = 30 * SECOND_US
"""How long a decision of people may take from its time to being visible to others."""

_WORDS = {Evidence.BEAT: "beat", Evidence.FAULT: "fault", Evidence.OFFLINE: "offline"}


class InService(NamedTuple):
    """The devices in service at a moment as known then, with the digests of what is agreed of them."""

    devices: list[Device]
    registry: str
    policies: str


class Registered:
    """The registry, which knows the moments at which anything of it changes: between two of them what is in
    service is worked out once.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = devices
        times = {
            at
            for d in devices
            for at in (d.commissioned, d.retired, d.commissioned_recorded, d.retired_recorded)
        }
        times.update(terms.since for agreed in {d.terms for d in devices} for terms in agreed)
        self._edges = sorted(at for at in times if at is not None)
        self._kept: tuple[tuple[int, int], InService] | None = None

    def in_service(self, at_us: int, known_us: int) -> InService:
        """Those in service at `at_us` as known at `known_us`."""
        between = bisect_right(self._edges, at_us), bisect_right(self._edges, known_us)
        if self._kept is None or self._kept[0] != between:
            whole = at_us, at_us + 1
            serving = [d for d in self.devices if in_service(d, *whole, known_us) == whole]
            serving.sort(key=lambda d: d.id)
            self._kept = (
                between,
                InService(
                    serving,
                    _digest(_line([d.id, d.community, d.kind, d.commissioned]) for d in serving),
                    _digest(_line([d.id, d.terms_at(at_us).timeout]) for d in serving),
                ),
            )
        return self._kept[1]


def sections(
    serving: InService, runs: Mapping[str, Sequence[Run]], books: Books, at_us: int, known_us: int
) -> dict[str, str]:
    """The digest of every section; `runs` are those that touch `[at_us - WINDOW_US, at_us]`, as known."""
    return {
        "registry": serving.registry,
        "policies": serving.policies,
        "evidence": evidence(serving.devices, runs, at_us),
        "coverage": coverage(books, at_us, known_us),
        "maintenance": maintenance(books, at_us, known_us),
    }


def evidence(devices: Iterable[Device], runs: Mapping[str, Sequence[Run]], at_us: int) -> str:
    """What evidence says of each device at `at_us`, and since when if it began within the window.

    Runs that say the same and follow each other without a break are one stretch.
    """
    from_us = at_us - WINDOW_US
    lines = []
    for device in devices:
        own = runs.get(device.id)
        if not own:
            continue
        position = bisect_right(own, at_us, key=lambda run: run.start) - 1
        if position < 0:
            continue
        run = own[position]
        if run.end <= at_us:
            lines.append(_line([device.id, "silence", run.end if run.end > from_us else None]))
        elif run.evidence is Evidence.OFFLINE:
            lines.append(_line([device.id, "offline", run.since]))
        else:
            begin = _begin(own, position)
            lines.append(_line([device.id, _WORDS[run.evidence], begin if begin > from_us else None]))
    return _digest(lines)


def coverage(books: Books, at_us: int, known_us: int) -> str:
    """The collector's first start, and the blind intervals known that began by `at_us`."""
    known = (b for b in known_blinds(books.blinds, known_us) if b.start <= at_us)
    lines = sorted(_line([b.start, _end(b.end), b.recorded, *_scope(b.scope), b.cause]) for b in known)
    return _digest([_line(["start", _end(books.start)]), *lines])


def maintenance(books: Books, at_us: int, known_us: int) -> str:
    """The windows known that hold `at_us`."""
    known = (w for w in known_maintenance(books.maintenance, known_us) if w.start <= at_us < w.end)
    return _digest(sorted(_line([w.start, _end(w.end), w.recorded, *_scope(w.scope)]) for w in known))


def became_visible_late(section: str, digest: str, books: Books, at_us: int, known_us: int) -> bool:
    """Whether `digest` is that of coverage or maintenance without what was recorded just before `known_us`.

    People's decisions have the time at which they were made, and others see them a moment later.
    """
    made = {"coverage": coverage, "maintenance": maintenance}.get(section)
    if made is None:
        return False
    said = [at for b in books.blinds for at in (b.recorded, b.revoked)]
    said += [at for w in books.maintenance for at in (w.recorded, w.cancelled)]
    late = {at for at in said if known_us - LATE_US < at <= known_us}
    return any(made(books, at_us, at - 1) == digest for at in sorted(late, reverse=True))


def _begin(own: Sequence[Run], position: int) -> int:
    while position and _continues(own[position - 1], own[position]):
        position -= 1
    return own[position].start


def _continues(run: Run, following: Run) -> bool:
    return run.end == following.start and run.evidence is following.evidence


def _end(at_us: int) -> int | None:
    return None if at_us >= FOREVER else at_us


def _scope(scope: Scope) -> tuple[str | None, ...]:
    return scope.device, scope.kind, scope.community


def _line(members: list[Any]) -> bytes:
    return msgspec.json.encode(members) + b"\n"


def _digest(lines: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(lines)).hexdigest()

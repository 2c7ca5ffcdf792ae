"""The last run of a device, and how the next piece of evidence changes it: the O(1) way of `RunHistory`."""

from typing import NamedTuple

from pulse.ledger.evidence import Piece
from pulse.ledger.model import FOREVER, Device, Evidence, Run


class NeedsArchive(Exception):
    """The piece reaches back behind the last run: only the stored evidence tells what it changes."""


class Tail(NamedTuple):
    """The last run of a device and the last evidence in time and in order of knowing."""

    run: Run
    last_at: int
    observed: int
    order: int


class Step(NamedTuple):
    """What a piece did: the new tail, the runs that were begun, ended or withdrawn, whether one began."""

    tail: Tail
    changed: tuple[Run, ...]


def appended(device: Device, tail: Tail | None, piece: Piece) -> Step:
    """The tail after one more piece. Raises `NeedsArchive` if it is not the last in time and in knowledge.

    Holds to `RunHistory.add` for a piece that nothing follows.
    """
    end = FOREVER
    if piece.evidence is not Evidence.OFFLINE:
        end = piece.at + device.terms_at(piece.at).timeout
    if tail is None:
        return _begun(piece, end, ())
    if (piece.observed, piece.order) < (tail.observed, tail.order):
        raise NeedsArchive
    run = tail.run
    continues = run.evidence is piece.evidence is not Evidence.OFFLINE
    if piece.at < tail.last_at:
        if continues and len(device.terms) == 1 and run.start <= piece.at and run.recorded <= piece.observed:
            # Inside a stretch that is known to be alive another beat says nothing new.
            return Step(tail._replace(observed=piece.observed, order=piece.order), ())
        raise NeedsArchive
    if run.end < piece.at:
        return _begun(piece, end, (run,))
    if continues:
        if end < run.end:
            raise NeedsArchive
        moved = Tail(run, piece.at, piece.observed, piece.order)
        if end == run.end:
            return Step(moved, ())
        if run.end >= piece.observed or run.recorded == piece.observed:
            return Step(moved._replace(run=run._replace(end=end)), ())
        # People were told of silence since the deadline; from this reception on they hear otherwise.
        beside = Run(run.end, end, run.evidence, run.since, piece.observed)
        return Step(moved._replace(run=beside), (run, beside))
    if run.start >= piece.at:
        raise NeedsArchive
    told_until = min(run.end, piece.observed)
    ended = [run._replace(end=piece.at)]
    if piece.at < told_until and run.recorded < piece.observed:
        ended.append(run._replace(start=piece.at, end=told_until, superseded=piece.observed))
    return _begun(piece, end, tuple(ended))


def _begun(piece: Piece, end: int, ended: tuple[Run, ...]) -> Step:
    run = Run(piece.at, end, piece.evidence, piece.at, piece.observed)
    return Step(Tail(run, piece.at, piece.observed, piece.order), (*ended, run))

"""What a message proves, and when (rules 1 to 4)."""

from typing import NamedTuple

from pulse.ledger.model import Device, Evidence


class Heard(NamedTuple):
    """The members of a message that the rules look at. Times are integers on the ledger's axis."""

    evidence: Evidence
    observed: int
    measured: int | None = None
    retained: bool = False
    queued: bool = False
    order: int = 0


class Piece(NamedTuple):
    """One piece of evidence. The greatest by (`at`, `observed`, `order`) is the last one (rule 5)."""

    at: int
    observed: int
    order: int
    evidence: Evidence


def is_trusted(device: Device, measured: int, observed: int, lateness: int) -> bool:
    """Whether a measured time may count at all: the clock is trusted, and it is neither ahead nor too old."""
    return not device.terms_at(measured).clock_untrusted and observed - lateness <= measured <= observed


def pieces(device: Device, heard: Heard, backlog_lateness: int) -> tuple[Piece, ...]:
    """The evidence of one message, earliest first: none, one piece or two.

    Retained delivery proves nothing (rule 1). From the backlog a beat counts at its measured time only and
    an explicit offline not at all (rule 3). Live, a message counts at its reception whatever the device's
    clock says, and a beat also at its measured time within the lateness agreed with the device (rules 2, 4).
    """
    if heard.retained:
        return ()
    observed, measured, evidence = heard.observed, heard.measured, heard.evidence
    is_beat = evidence is not Evidence.OFFLINE
    if heard.queued:
        if not is_beat or measured is None or not is_trusted(device, measured, observed, backlog_lateness):
            return ()
        return (Piece(measured, observed, heard.order, evidence),)
    received = Piece(observed, observed, heard.order, evidence)
    if not is_beat or measured is None or measured >= observed:
        return (received,)
    if not is_trusted(device, measured, observed, device.terms_at(measured).max_lateness):
        return (received,)
    return (Piece(measured, observed, heard.order, evidence), received)

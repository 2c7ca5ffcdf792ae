"""The readable rule: the state of one device at one instant, straight from rules 5, 6 and 9.

Slow and obvious on purpose. Everything fast in this package is held to it by tests.
"""

from collections.abc import Iterable, Sequence

from pulse.ledger.evidence import Piece
from pulse.ledger.model import Blind, Device, Evidence, Maintenance, State


def listened(blinds: Iterable[Blind], after: int, until: int) -> bool:
    """Whether the collector listened through the whole of `(after, until]`."""
    return not any(blind.start <= until and blind.end > after for blind in blinds)


def presence_at(device: Device, evidence: Iterable[Piece], blinds: Sequence[Blind], at: int) -> State:
    """The state at `at`, maintenance and life cycle left aside, from what is known (rules 5 and 6).

    `evidence` and `blinds` are those known at the knowledge time, empty intervals left out; the time
    before the collector's first start is one of the blind intervals.
    """
    last = max((p for p in evidence if p.at <= at), default=None, key=lambda p: p[:3])
    if last is not None:
        if last.evidence is Evidence.OFFLINE:
            if listened(blinds, last.at, at):
                return State.OFFLINE
        elif at < last.at + device.terms_at(last.at).timeout:
            return State.FAULT if last.evidence is Evidence.FAULT else State.ONLINE
    heard_nothing = listened(blinds, at - device.terms_at(at).timeout, at)
    return State.OFFLINE if heard_nothing else State.UNKNOWN


def accounted(
    device: Device, presence: State, maintenance: Iterable[Maintenance], at: int, known_at: int
) -> State:
    """Lay life cycle and the known maintenance windows of the device over its presence (rule 9)."""
    if known_at < device.commissioned_recorded or at < device.commissioned:
        return State.NOT_COMMISSIONED
    if device.retired is not None and device.retired_recorded <= known_at and at >= device.retired:
        return State.RETIRED
    if any(window.start <= at < window.end for window in maintenance):
        return State.EXCLUDED
    return presence

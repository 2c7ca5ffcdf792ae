"""Online time that became known so late that meanwhile the device had to be called something else."""

from collections.abc import Sequence

from pulse.ledger.model import FOREVER, Device, Evidence, Run


def late_time(device: Device, runs: Sequence[Run], start: int, end: int) -> int:
    """How much of `[start, end)` the device was online as known, and was not yet known to be a timeout later.

    `runs` are those known, in order and without overlap. An instant s counts if the run that holds it is
    known since later than s + timeout, by the terms in force at s: whoever asked at that time what the
    device did at s was told something else. With a period of one instant it gives 1 or 0.
    """
    total = 0
    for run in runs:
        if run.evidence is not Evidence.BEAT or run.recorded <= run.start:
            continue
        low, high = max(run.start, start), min(run.end, end)
        for position, terms in enumerate(device.terms):
            until = device.terms[position + 1].since if position + 1 < len(device.terms) else FOREVER
            begin = low if position == 0 else max(low, terms.since)
            total += max(0, min(high, until, run.recorded - terms.timeout) - begin)
    return total

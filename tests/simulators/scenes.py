"""Scenarios that several tests use."""

import msgspec

from simulators.faults import Behaviour
from simulators.scenario import DEFAULT, FaultEntry, Scenario

SIXTY = Scenario(
    "sixty devices, every behaviour",
    kind=tuple(
        msgspec.structs.replace(kind, count=count)
        for kind, count in zip(DEFAULT.kinds, (13, 9, 9, 21, 6, 1, 1), strict=True)
    ),
    fault=(
        FaultEntry(Behaviour.SILENT, count=2),
        FaultEntry(Behaviour.KILLED, count=2, after_s=60),
        FaultEntry(Behaviour.FAULT, count=2, code="sensor_drift"),
        FaultEntry(Behaviour.NEVER_ACTIVATED, count=2),
        FaultEntry(Behaviour.CUT_OFF_BUFFERING, count=2, max_lateness_s=3600),
        FaultEntry(Behaviour.FLAPPING, count=4, every_beats=2),
        FaultEntry(Behaviour.WRONG_CLOCK, count=3, clock_offset_s=28_800),
        FaultEntry(Behaviour.WRONG_CLOCK, count=3, clock_offset_s=-28_800),
        FaultEntry(Behaviour.LATE, count=4, max_lateness_s=600),
        FaultEntry(Behaviour.DUPLICATES, count=4),
    ),
)

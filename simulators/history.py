"""Seven simulated days before the demo begins, from the fleet's own faults.

Runs and published values come at once, in closed form; the raw beats of the last day follow behind.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from pulse.clock import DAY_US, HOUR_US
from pulse.ledger.model import Device, Evidence, Run
from pulse.ledger.runs import history_of
from pulse.messages import Channel, Message
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import coverage, intervals, maintenance, meta, published, registry
from simulators.figures import published_values
from simulators.fleet import Fleet
from simulators.metrics import measured
from simulators.outages import week
from simulators.track import Said, Track

DAYS = 7
BATCH_MESSAGES = 5000
WINDOW_MESSAGES = 100_000
SESSION = "simulated-history"
MOST_DEVICES_BITS = 20
FAULT_CODES = ("sensor_drift", "self_test", "low_voltage", "blocked")

_EVIDENCE = tuple(Evidence)
_CHANNELS = tuple(Channel)


class LastEvidence(NamedTuple):
    """The last that was heard of a device."""

    at_us: int
    evidence: Evidence


class History:
    """The days before `end_us` of a fleet, the same for the same fleet, seed, end and number of days."""

    def __init__(self, fleet: Fleet, seed: int, end_us: int, days: int = DAYS) -> None:
        self.fleet = fleet
        self.week = week(fleet, seed, end_us, days)
        self.devices: list[Device] = fleet.ledger_devices()
        self._tracks = {
            device.id: Track(
                fleet.unit(device),
                fleet.faults.get(device.id),
                self.week.outages[device.id],
                self.week.blinds,
                self.week.start_us,
                end_us,
                never=device.id in self.week.never,
            )
            for device in fleet.devices
        }

    def runs(self) -> dict[str, list[Run]]:
        """Every run of every device that was ever heard, superseded ones too, in order of time."""
        found = {device.id: self._runs(device) for device in self.devices}
        return {device: runs for device, runs in found.items() if runs}

    def last_evidence(self) -> dict[str, LastEvidence]:
        """What was heard last of every device that was ever heard."""
        found = ((device, track.last()) for device, track in self._tracks.items())
        return {device: LastEvidence(*last) for device, last in found if last is not None}

    def raw_beats(self, from_us: int, to_us: int, *, newest_first: bool = False) -> Iterator[list[Message]]:
        """The messages observed in `[from_us, to_us)` in batches, each in order of time.

        `order` is negative, unique and rises with time, below that of every live message.
        """
        per_us = sum(1 / (self.fleet.beats_s[d.kind][0] * 1_000_000) for d in self.fleet.devices)
        window_us = max(min(int(WINDOW_MESSAGES / per_us), 2 * HOUR_US), 1)
        starts = range(from_us, to_us, window_us)
        for start in reversed(starts) if newest_first else starts:
            messages = self._window(start, min(start + window_us, to_us))
            firsts = range(0, len(messages), BATCH_MESSAGES)
            for first in reversed(firsts) if newest_first else firsts:
                yield messages[first : first + BATCH_MESSAGES]

    def _runs(self, device: Device) -> list[Run]:
        track = self._tracks[device.id]
        if device.terms[0].max_lateness:
            return history_of(device, track.decisive(device)).runs()
        return track.runs()

    def _window(self, from_us: int, to_us: int) -> list[Message]:
        messages: list[Message] = []
        for position, device in enumerate(self.fleet.devices):
            said = self._tracks[device.id].said(from_us, to_us)
            if len(said.observed):
                messages += self._messages(position, device, said)
        messages.sort(key=lambda message: message.order)
        return messages

    def _messages(self, position: int, device: DeviceRecord, said: Said) -> Iterator[Message]:
        key = self.fleet.unit(device).key
        metrics = measured(device.kind, key, said.made)
        names = list(metrics)
        values = zip(*(column.tolist() for column in metrics.values()), strict=True)
        fault = self.fleet.faults.get(device.id)
        code = (
            FAULT_CODES[key % len(FAULT_CODES)]
            if fault is None or not fault.behaviour.is_down
            else fault.code
        )
        orders = ((said.observed - self.week.end_us - 1) << MOST_DEVICES_BITS) + position
        columns = (column.tolist() for column in said)
        for order, numbers, row in zip(orders.tolist(), values, zip(*columns, strict=True), strict=True):
            observed, measured_us, _, seq, evidence, channel, identity = row
            beat = channel == Channel.HEARTBEAT
            yield Message(
                device=device.id,
                community=device.community,
                kind=device.kind,
                evidence=_EVIDENCE[evidence],
                channel=_CHANNELS[channel],
                observed_us=observed,
                measured_us=measured_us if beat else None,
                retained=False,
                queued=False,
                identity=identity,
                seq=seq if beat else None,
                fault=code if evidence == Evidence.FAULT else None,
                metrics=dict(zip(names, numbers, strict=True)) if beat else None,
                order=order,
            )


def enter(connection: Connection, fleet: Fleet, seed: int, end_us: int, *, days: int = DAYS) -> None:
    """Register the fleet, and write the `days` before `end_us` into the database (0: the registry only)."""
    begin_us = end_us - days * DAY_US
    registry.put_communities(connection, fleet.communities, begin_us)
    registry.put_kinds(connection, fleet.kinds, begin_us)
    registry.put_planned(connection, fleet.planned, begin_us)
    registry.put_devices(connection, fleet.devices, begin_us, by="system:simulators")
    if not days:
        return
    history = History(fleet, seed, end_us, days)
    past = history.week
    runs = history.runs()
    coverage.set_start(connection, past.start_us)
    for blind in past.blinds:
        coverage.record(connection, blind)
    for work in past.works:
        maintenance.record(connection, work.window, work.reason, work.author)
    intervals.put_runs(connection, ((device, run) for device, own in runs.items() for run in own))
    published.append_many(connection, published_values(history.devices, runs, past))
    # As a collector leaves it behind: everything until then is written down, and hearing was proved.
    coverage.set_watermark(connection, coverage.Watermark(end_us, True, end_us, SESSION))
    meta.put(connection, "coverage_proved", msgspec.json.encode({"at_us": end_us, "dropped": None}).decode())


def raw_beats(
    fleet: Fleet, seed: int, from_us: int, end_us: int, *, days: int = DAYS, newest_first: bool = False
) -> Iterator[list[Message]]:
    """The messages of the history that `enter` wrote until `end_us`, from `from_us` on, in batches."""
    return History(fleet, seed, end_us, days).raw_beats(from_us, end_us, newest_first=newest_first)

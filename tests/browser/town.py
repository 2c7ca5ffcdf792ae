"""The whole fleet in real stores, at a moment in the test's hand: 811 of 826 devices are running.

`NOW` is 2026-11-23 17:05:22 in Shanghai. The 15 that are down: nine fell silent over the last three days,
three said goodbye by their last will, two report a fault, one was never heard. Seven days of published
values lie behind it, with dips and one hour in which the collector was blind.
"""

import math
from pathlib import Path
from types import TracebackType
from typing import Any

from api.context import Context
from pulse import settings
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.indicators.online_rate import NAME, OnlineRate
from pulse.ledger.model import EVER, FOREVER, Blind, Evidence, Run, State
from pulse.messages import Channel, Message
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import coverage, events, intervals, published, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database
from pulse.stores.relational.events import NewEvent
from pulse.stores.relational.published import PublishedValue
from pulse.stores.sqlite import SqliteTelemetryStore
from simulators.fleet import Fleet, fleet
from tests.api.site import HandClock

NOW = 1_795_424_722 * SECOND_US
"""2026-11-23T09:05:22Z."""
FIRST_START = NOW - 30 * DAY_US
BLIND_HOUR = NOW - 2 * DAY_US - 5 * HOUR_US
SEED = 2020
DOWN = 15

_SILENT_FOR_MIN = (7, 24, 52, 95, 190, 410, 1_130, 2_300, 3_900)
_GOODBYE_FOR_MIN = (3, 130, 700)
_FAULT_FOR_MIN = (41, 1_500)


class Town:
    """The installation; `context` is what the server gets."""

    def __init__(self, folder: Path, *, demo: bool = True, empty: bool = False) -> None:
        self.clock = HandClock(NOW)
        self.db = Database(f"sqlite:///{folder / 'pulse.db'}")
        self.db.open()
        self.store = SqliteTelemetryStore(folder / "telemetry.db")
        self.store.open()
        self.context = Context(
            settings.load(data_dir=folder, demo=demo, public_view=True),
            self.db,
            self.store,
            self.clock,
            OnlineRate(self.db, self.clock),
        )
        self.fleet: Fleet = fleet(SEED)
        self._order = 0
        with self.db.write() as connection:
            coverage.set_start(connection, FIRST_START)
        self.mark()
        if not empty:
            self._populate()

    def __enter__(self) -> "Town":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()
        self.db.close()

    @property
    def devices(self) -> tuple[DeviceRecord, ...]:
        """The registered devices."""
        return self.fleet.devices

    def device(self, community: str, kind: str, number: int = 0) -> DeviceRecord:
        """The device of that position among those that run."""
        found = [d for d in self.devices if d.community == community and d.kind == kind]
        return [d for d in found if d.id not in self.down][number]

    def mark(self, *, listening: bool = True) -> None:
        """The collector writes that everything until now is in the database."""
        with self.db.write() as connection:
            coverage.set_watermark(connection, Watermark(self.clock.now, listening, self.clock.now, "town"))

    def later(self, seconds: float) -> None:
        """Time passes, with the collector at work."""
        self.clock.now += round(seconds * SECOND_US)
        self.mark()

    def collector_dies(self, seconds: float) -> None:
        """Time passes, with no collector at work."""
        self.clock.now += round(seconds * SECOND_US)

    def goes_silent(self, device: DeviceRecord) -> None:
        """The device's deadline passes now."""
        self._says(device, Run(FIRST_START, self.clock.now, Evidence.BEAT, FIRST_START), "online", "offline")

    def comes_back(self, device: DeviceRecord) -> None:
        """The device beats again now."""
        self._says(device, Run(self.clock.now, FOREVER, Evidence.BEAT, self.clock.now), "offline", "online")

    def goes_blind(self) -> None:
        """The collector loses its broker now."""
        with self.db.write() as connection:
            coverage.record(connection, Blind(self.clock.now, FOREVER, self.clock.now, cause="no_connection"))
            events.append(
                connection,
                [NewEvent(self.clock.now, self.clock.now, "coverage", {"listening": False})],
            )
        self.mark(listening=False)

    def discovers(self, device: str, community: str, kind: str) -> None:
        """A device that nobody registered is heard now."""
        with self.db.write() as connection:
            registry.discover(connection, device, community, kind, self.clock.now)

    def _says(self, device: DeviceRecord, run: Run, before: str, after: str) -> None:
        body = {
            "device": device.id,
            "community": device.community,
            "kind": device.kind,
            "before": before,
            "after": after,
        }
        with self.db.write() as connection:
            intervals.put_runs(connection, [(device.id, run)])
            events.append(connection, [NewEvent(self.clock.now, self.clock.now, "transition", body)])
        self.mark()

    def _populate(self) -> None:
        with self.db.write() as connection:
            registry.put_communities(connection, self.fleet.communities, FIRST_START)
            registry.put_kinds(connection, self.fleet.kinds, FIRST_START)
            registry.put_planned(connection, self.fleet.planned, FIRST_START)
            registry.put_devices(connection, self.devices, FIRST_START)
            coverage.record(
                connection,
                Blind(
                    BLIND_HOUR,
                    BLIND_HOUR + 50 * MINUTE_US,
                    BLIND_HOUR + 50 * MINUTE_US,
                    cause="no_connection",
                ),
            )
            runs, messages = self._lives()
            intervals.put_runs(connection, runs)
            published.append_many(connection, list(_history(len(self.devices))))
        self.store.write_messages(messages)
        self.mark()

    @property
    def down(self) -> dict[str, int]:
        """The devices that are down, by id, with the minutes for which they have been."""
        spread = self.devices[11 :: len(self.devices) // DOWN][:DOWN]
        minutes = [*_SILENT_FOR_MIN, *_GOODBYE_FOR_MIN, *_FAULT_FOR_MIN, 0]
        return {device.id: since for device, since in zip(spread, minutes, strict=True)}

    def _lives(self) -> tuple[list[tuple[str, Run]], list[Message]]:
        runs: list[tuple[str, Run]] = []
        messages: list[Message] = []
        down = self.down
        silent, goodbye = len(_SILENT_FOR_MIN), len(_SILENT_FOR_MIN) + len(_GOODBYE_FOR_MIN)
        for device in self.devices:
            if device.id not in down:
                runs.append((device.id, _alive(FOREVER)))
                continue
            position, began = list(down).index(device.id), NOW - down[device.id] * MINUTE_US
            timeout_us = round(self.fleet.beats_s[device.kind][1] * SECOND_US)
            if position < silent:
                gap = began - 3 * DAY_US - 2 * HOUR_US
                runs += [
                    (device.id, _alive(gap)),
                    (device.id, Run(gap + 3 * HOUR_US, began, Evidence.BEAT, gap + 3 * HOUR_US)),
                ]
                beats = [began - timeout_us - n * 60 * SECOND_US for n in range(4)]
                messages += [self._message(device, Evidence.BEAT, at) for at in beats]
            elif position < goodbye:
                runs += [
                    (device.id, _alive(began)),
                    (device.id, Run(began, FOREVER, Evidence.OFFLINE, began)),
                ]
                messages.append(self._message(device, Evidence.OFFLINE, began))
            elif down[device.id]:
                runs += [(device.id, _alive(began)), (device.id, Run(began, FOREVER, Evidence.FAULT, began))]
                messages.append(self._message(device, Evidence.FAULT, NOW - 20 * SECOND_US))
        return runs, messages

    def _message(self, device: DeviceRecord, evidence: Evidence, at_us: int) -> Message:
        self._order += 1
        is_beat = evidence is not Evidence.OFFLINE
        return Message(
            device.id,
            device.community,
            device.kind,
            evidence,
            Channel.HEARTBEAT if is_beat else Channel.STATUS,
            at_us,
            at_us - 80_000 if is_beat else None,
            retained=False,
            queued=False,
            identity=self._order,
            seq=40_000 + self._order if is_beat else None,
            fault="sensor_blocked" if evidence is Evidence.FAULT else None,
            order=self._order,
        )


def _alive(end_us: int) -> Run:
    return Run(FIRST_START, end_us, Evidence.BEAT, FIRST_START, EVER)


def _history(total: int) -> list[PublishedValue]:
    """A week of values, one in five minutes: a few devices come and go, a power cut, a blind hour."""
    values = []
    for step in range(7 * 288, 0, -1):
        at = (NOW - step * 5 * MINUTE_US) // (5 * MINUTE_US) * 5 * MINUTE_US
        hours = step / 12
        down = DOWN + round(3 * math.sin(hours / 5) + 2 * math.sin(hours / 1.7) + (step * 7919 % 5) / 2)
        if 61 <= hours <= 62.5:
            down += round(26 * (1 - abs(hours - 61.75) / 0.75))
        if 4.0 <= hours <= 4.6 or 17 <= hours <= 17.8:
            down += 9
        blind = BLIND_HOUR <= at < BLIND_HOUR + 50 * MINUTE_US
        unknown = 21 if blind else 0
        values.append(
            PublishedValue(NAME, at, at, total - down - unknown, total, _figures(total, down, unknown))
        )
    return values


def _figures(total: int, down: int, unknown: int) -> dict[str, Any]:
    states = {state.slug: 0 for state in State}
    states |= {"online": total - down - unknown, "offline": down, "unknown": unknown}
    whole = {
        "states": states,
        "raw": [states["online"], total],
        "unknown_raw": unknown,
        "adjusted": [states["online"], states["online"] + down],
    }
    return {"all": whole, "by_community": {}, "by_kind": {}}

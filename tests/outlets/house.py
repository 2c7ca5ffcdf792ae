"""An installation with records to share: devices in service and not, and time in the test's hand."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from api.context import Context
from api.outlets.outbox import Outbox
from api.outlets.sending import Opener, Post, Sent
from pulse import settings
from pulse.access.outlets import begin
from pulse.clock import SECOND_US
from pulse.indicators.online_rate import OnlineRate
from pulse.messages import Record
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet, Version
from pulse.sharing.receipts import Receipt
from pulse.stores.relational import catalogue, deliveries, outlets, receipts, recordmark, registry
from pulse.stores.relational.database import Database
from pulse.stores.relational.deliveries import Attempt, Stored
from pulse.stores.relational.recordmark import RecordMark
from pulse.stores.sqlite import SqliteTelemetryStore
from tests.api.site import T0, HandClock

GO_ON = threading.Event()
BODIES = {
    "gas_reading": b'{"lel_pct":1.5,"alarm":"none"}',
    "access_event": '{"event":"granted","direction":"in","card":"Q7Q7Q7Q7","holder":"王小明"}'.encode(),
    "perimeter_event": b'{"event":"intrusion","zone":"north"}',
}
DEVICES = {
    "gas-1": ("xinjinglou", "gas_alarm"),
    "gas-2": ("yiminyuan", "gas_alarm"),
    "door-1": ("xinjinglou", "access_control"),
    "fence-1": ("xinjinglou", "perimeter_alarm"),
    "gas-new": ("xinjinglou", "gas_alarm"),
    "gas-old": ("xinjinglou", "gas_alarm"),
}
"""By id; `gas-new` is not commissioned, `gas-old` was retired before `T0`."""


class House:
    """Everything that delivers, without threads and schedules."""

    def __init__(self, folder: Path, *, database_url: str | None = None, **changed: Any) -> None:
        self.folder = folder
        self.clock = HandClock(T0)
        self.db = Database(database_url or f"sqlite:///{folder / 'pulse.db'}")
        self.db.open()
        self.store = SqliteTelemetryStore(folder / "telemetry.db")
        self.store.open()
        made = settings.load(data_dir=folder, public_view=False, rate_limit="off", **changed)
        self.context = Context(made, self.db, self.store, self.clock, OnlineRate(self.db, self.clock))
        self.keys = Keys(made.outlet_keys())
        self.order = 0
        with self.db.write() as connection:
            if not registry.communities(connection):
                self._register(connection)
            catalogue.seed(connection, T0)
            found = recordmark.read(connection)
            self.order = 0 if found is None else found.order
        self.outbox = Outbox(self.context)

    def _register(self, connection: Any) -> None:
        registry.put_communities(connection, [Community("xinjinglou"), Community("yiminyuan")], T0)
        registry.put_kinds(connection, [Kind(kind) for kind in sorted({k for _, k in DEVICES.values()})], T0)
        registry.put_devices(
            connection,
            [
                DeviceRecord(
                    device,
                    community,
                    kind,
                    commissioned_us=None if device == "gas-new" else T0 - 1000 * SECOND_US,
                    retired_us=T0 - 500 * SECOND_US if device == "gas-old" else None,
                )
                for device, (community, kind) in DEVICES.items()
            ],
            T0,
        )

    def __enter__(self) -> "House":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()
        self.db.close()

    def put(self, members: dict[str, Any] | Outlet) -> Outlet:
        """Say something of an outlet, which begins here if it is new."""
        outlet = members if isinstance(members, Outlet) else Outlet(**members)
        with self.db.write() as connection:
            said = outlets.history(connection, outlet.id)
            at_us = max([self.clock.now, *(v.recorded_us + 1 for v in said)])
            outlets.append(connection, Version(outlet.id, at_us, outlet, "cli:root"))
            begin(connection, outlet.id, self.clock.now)
        return outlet

    def record(self, device: str = "gas-1", data_kind: str = "gas_reading", **changes: Any) -> Record:
        """A record received now, measured 50 ms before."""
        self.order += 1
        community, kind = DEVICES.get(device, ("xinjinglou", "gas_alarm"))
        members: dict[str, Any] = {
            "device": device,
            "community": community,
            "kind": kind,
            "data_kind": data_kind,
            "observed_us": self.clock.now,
            "measured_us": self.clock.now - 50_000,
            "at_us": self.clock.now - 50_000,
            "queued": False,
            "identity": self.order,
            "body": BODIES.get(data_kind, b"{}"),
            "order": self.order,
        }
        return Record(**(members | changes))

    def hear(self, *records: Record, after_s: float = 1.0) -> None:
        """What a collector does with records; then time passes, and nothing else is received."""
        self.store.write_records(records)
        self.clock.now += round(after_s * SECOND_US)
        with self.db.write() as connection:
            recordmark.write(connection, RecordMark(self.order, self.clock.now))

    def post(self, opener: Opener | None = None, holder: str = "here") -> Post:
        """Who sends."""
        return Post(self.context, holder, opener=opener, jitter=lambda: 1.0)

    def build(self, outlet: Outlet, *, at_once: bool = True) -> list[int]:
        """The numbers of the deliveries that are made now."""
        made = []
        while True:
            built = self.outbox.build(outlet, at_once=at_once)
            if built.made is not None:
                made.append(built.made)
            if not built.more:
                return made

    def drain(self, outlet: Outlet, post: Post | None = None) -> Sent:
        """Send what is due."""
        return (post or self.post()).drain(outlet, GO_ON)

    def deliveries(self, outlet: str) -> list[Stored]:
        """All of an outlet, the first one first."""
        with self.db.read() as connection:
            return deliveries.listing(connection, outlet, limit=1000)[::-1]

    def content(self, outlet: str, number: int) -> bytes:
        """What is sent of a delivery."""
        with self.db.read() as connection:
            found = deliveries.content(connection, outlet, number)
        assert found is not None
        return found

    def receipts(self) -> list[Receipt]:
        """All, the first one first."""
        with self.db.read() as connection:
            return list(receipts.walk(connection))

    def accesses(self) -> list[Attempt]:
        """All, the first one first."""
        with self.db.read() as connection:
            return deliveries.accesses(connection, limit=1000)[::-1]

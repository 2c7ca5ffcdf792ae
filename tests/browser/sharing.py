"""Data sharing of the town: five departments; what was collected in the last hour, delivered, acknowledged.

With `water_down` the water company stopped answering 24 minutes ago and holds less than it acknowledged; its
kind has a freshness of 20 minutes, so that seven of eight are shared.
"""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from pulse.clock import DAY_US, MINUTE_US, SECOND_US
from pulse.messages import Record
from pulse.sharing import catalogue_file
from pulse.sharing.catalogue import Version
from pulse.sharing.deliveries import Item, Quiet, make
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.sharing.outlets import Version as OutletVersion
from pulse.sharing.receipts import Receipt
from pulse.sharing.reconciling import add, of_ids
from pulse.stores.relational import catalogue, deliveries, outlets, receipts, reports
from pulse.stores.relational.outlets import Position
from pulse.stores.relational.reports import Report
from tests.browser.town import FIRST_START, NOW, Town

ZONE = ZoneInfo("Asia/Shanghai")
TODAY, YESTERDAY = "2026-11-23", "2026-11-22"
ERROR = "连接失败 / no connection: Connection refused"
WATER_DOWN_MIN = 24

OUTLETS = (
    Outlet(
        id="fire",
        name_zh="消防救援大队",
        name_en="Fire brigade",
        mode="http",
        url="http://127.0.0.1:9101/",
        data_kinds=("gas_reading",),
    ),
    Outlet(
        id="police",
        name_zh="公安分局",
        name_en="Police",
        mode="http",
        url="http://127.0.0.1:9102/",
        data_kinds=("access_event", "perimeter_event", "vehicle_pass", "video_status"),
    ),
    Outlet(
        id="sanitation",
        name_zh="环卫中心",
        name_en="Sanitation",
        mode="pull",
        data_kinds=("sorting_record",),
    ),
    Outlet(
        id="street",
        name_zh="街道办事处",
        name_en="Street office",
        mode="http",
        format="csv",
        url="http://127.0.0.1:9104/",
        data_kinds=("lock_status",),
    ),
    Outlet(
        id="water",
        name_zh="供水公司",
        name_en="Water company",
        mode="mqtt",
        url="mqtt://127.0.0.1:9103",
        data_kinds=("flow_reading",),
    ),
)
PER_MINUTE = {
    "access_event": 9,
    "lock_status": 4,
    "video_status": 12,
    "vehicle_pass": 6,
    "gas_reading": 20,
    "flow_reading": 7,
    "sorting_record": 1,
}


def share(town: Town, *, water_down: bool = False) -> None:
    """Fill the town's books with an hour of sharing."""
    kinds = [
        msgspec.structs.replace(kind, freshness_s=1200.0) if kind.id == "flow_reading" else kind
        for kind in catalogue_file.default()
    ]
    sources = {kind.id: kind.sources[0] for kind in kinds}
    with town.db.write() as connection:
        catalogue.append(connection, [Version(k.id, FIRST_START, FIRST_START, k, "t") for k in kinds])
    for outlet in OUTLETS:
        with town.db.write() as connection:
            outlets.append(connection, OutletVersion(outlet.id, FIRST_START, outlet, "cli:root"))
            outlets.begin(connection, Position(outlet.id, 0, FIRST_START, FIRST_START))
        Keys(town.context.settings.outlet_keys()).make(outlet.id, "hmac-sha256")
    order = 0
    held: dict[str, list[str]] = {}
    for outlet in OUTLETS:
        stopped = water_down and outlet.id == "water"
        for minute in range(59, -1, -2):
            at_us = NOW - minute * MINUTE_US - 20 * SECOND_US
            items: list[Item] = []
            for data_kind in outlet.data_kinds or ():
                for n in range(2 * PER_MINUTE.get(data_kind, 0)):
                    order += 1
                    device = town.device(("xinjinglou", "rongxinyuan")[n % 2], sources[data_kind])
                    items.append(_item(order, data_kind, device, at_us))
            town.store.write_records([_record(item, order + n) for n, item in enumerate(items)])
            quiet = (
                (Quiet("perimeter_event", "xinjinglou", at_us - 2 * MINUTE_US, at_us),)
                if outlet.id == "police"
                else ()
            )
            fails = stopped and minute < WATER_DOWN_MIN
            if minute >= 3 or not fails:
                _deliver(town, outlet, items, quiet, at_us + 5 * SECOND_US, fails=fails)
            if not fails:
                held.setdefault(outlet.id, []).extend(item.id for item in items)
    _report(town, held, water_down=water_down)


def _item(order: int, data_kind: str, device: Any, at_us: int) -> Item:
    return Item(
        f"{order:016x}", data_kind, device.community, device.id, device.kind, at_us, at_us + 50_000, {"n": 1}
    )


def _record(item: Item, order: int) -> Record:
    return Record(
        item.device,
        item.community,
        item.kind,
        item.data_kind,
        item.received_us,
        item.at_us,
        item.at_us,
        False,
        int(item.id, 16),
        b"{}",
        order,
    )


def _deliver(
    town: Town, outlet: Outlet, items: list[Item], quiet: tuple[Quiet, ...], now_us: int, *, fails: bool
) -> None:
    with town.db.write() as connection:
        position = outlets.position_of(connection, outlet.id)
        assert position is not None
        number = position.number + 1
        made = make(outlet, number, items, quiet, now_us, ZONE)
        outlets.move(connection, position, position._replace(number=number))
        deliveries.add(connection, outlet.id, outlet.format, made, now_us)
        if fails:
            first = not deliveries.waiting(connection, outlet.id, limit=2)[1:]
            if first:
                deliveries.sent(connection, outlet.id, number, now_us)
                deliveries.failed(connection, outlet.id, number, ERROR, NOW + 200 * SECOND_US)
            return
        deliveries.sent(connection, outlet.id, number, now_us)
        deliveries.acknowledged(connection, outlet.id, number, now_us + SECOND_US)
        receipts.append(
            connection,
            Receipt(
                outlet.id,
                f"{outlet.id}-{number}",
                made.digest,
                made.parts,
                "{}",
                now_us,
                now_us + SECOND_US,
                now_us + SECOND_US,
            ),
        )


def _report(town: Town, held: dict[str, list[str]], *, water_down: bool) -> None:
    for outlet in OUTLETS:
        with town.db.write() as connection:
            for day, age_us in ((YESTERDAY, DAY_US // 2), (TODAY, 40 * SECOND_US)):
                if day == YESTERDAY and outlet.id != "water":
                    continue
                ours = reports.ours(connection, outlet.id, day, None)
                theirs = dict(ours)
                if day == YESTERDAY:
                    ours = theirs = {"flow_reading": of_ids(["0" * 16])}
                elif outlet.id == "water" and water_down:
                    less = of_ids(held["water"][: len(held["water"]) // 2])
                    theirs["flow_reading"] = add(less)
                said = f"token:3 {outlet.id}"
                reports.append(connection, Report(outlet.id, day, 1, NOW - age_us, said, theirs, ours))


def water_comes_back(town: Town) -> None:
    """What waits for the water company is acknowledged now."""
    with town.db.write() as connection:
        for stored in deliveries.waiting(connection, "water"):
            deliveries.sent(connection, "water", stored.number, town.clock.now)
            deliveries.acknowledged(connection, "water", stored.number, town.clock.now)
            receipts.append(
                connection,
                Receipt(
                    "water",
                    stored.id,
                    stored.digest,
                    stored.parts,
                    "{}",
                    town.clock.now,
                    town.clock.now,
                    town.clock.now,
                ),
            )
    town.later(5)

"""What the registry said of devices before: the forms of a record, since and until when, and by whom."""

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Table, insert, select

from pulse.clock import SECOND_US
from pulse.ledger.model import EVER, FOREVER
from pulse.registry.model import DeviceRecord, seconds
from pulse.registry.plans import Reach
from pulse.stores.relational.tables import devices, past_devices
from pulse.stores.relational.values import canonical

_CHUNK = 500


class Form(NamedTuple):
    """What was said of a device in `[since_us, until_us)` of knowledge time, and by whom.

    `since_us` is `EVER` for what was there before forms were kept, `until_us` `FOREVER` for what holds now.
    """

    record: DeviceRecord
    since_us: int
    until_us: int
    said_by: str


class Member(NamedTuple):
    """A device that is in a building or has a tag in `[since_us, until_us)`."""

    device: str
    since_us: int
    until_us: int


def record_of(row: Row[Any]) -> DeviceRecord:
    """The record of a row, of the present or the past."""
    return DeviceRecord(
        row.id,
        row.community,
        row.kind,
        row.name_zh,
        row.name_en,
        row.building,
        row.location,
        tuple(json.loads(row.tags)),
        row.vendor,
        row.model,
        row.serial,
        seconds(row.timeout_us),
        row.max_lateness_us / SECOND_US,
        row.clock_untrusted,
        row.commissioned_us,
        row.retired_us,
        row.commissioned_recorded_us,
        row.retired_recorded_us,
    )


def keep(connection: Connection, rows: Iterable[Mapping[str, Any]], until_us: int) -> None:
    """Keep rows of `devices` that are about to be overwritten."""
    kept = [{**row, "until_us": max(until_us, row["since_us"] or EVER)} for row in rows]
    if kept:
        connection.execute(insert(past_devices), kept)


def forms(connection: Connection, device: str) -> list[Form]:
    """Every form of one device, in order of time; empty when it is not registered."""
    return [
        form
        for one in _forms(connection, [past_devices.c.id == device], [devices.c.id == device]).values()
        for form in one
    ]


def known_at(connection: Connection, known_us: int) -> list[DeviceRecord]:
    """Every device as the registry had it at `known_us`, by id.

    One that was registered before that was written down counts as registered since ever.
    """
    past, now = past_devices.c, devices.c
    found: dict[str, DeviceRecord] = {}
    for table, since, until in (
        (past_devices, past.since_us, past.until_us > known_us),
        (devices, now.since_us, None),
    ):
        query = select(table).where(since.is_(None) | (since <= known_us))
        if until is not None:
            query = query.where(until)
        for row in connection.execute(query.order_by(*table.primary_key)):
            # Of several forms that one moment saw, the last one stands.
            found[row.id] = record_of(row)
    return [found[device] for device in sorted(found)]


def members(connection: Connection, reach: Reach) -> list[Member]:
    """When which devices were, are and (as far as is known) will be in the building or have the tag.

    By device and time. What the registry said first of a device counts for the time before it too.
    """
    named = set(connection.scalars(select(devices.c.id).where(*_like(devices, reach))))
    named |= set(connection.scalars(select(past_devices.c.id).where(*_like(past_devices, reach))))
    ids = sorted(named)
    found = []
    for first in range(0, len(ids), _CHUNK):
        some = ids[first : first + _CHUNK]
        own = _forms(connection, [past_devices.c.id.in_(some)], [devices.c.id.in_(some)])
        for device in some:
            found += _stays(device, own.get(device, []), reach)
    return found


def _stays(device: str, own: list[Form], reach: Reach) -> list[Member]:
    """The times in which the forms of a device are in reach, joined."""
    if own:
        own[0] = own[0]._replace(since_us=EVER)
    stays: list[Member] = []
    for form in own:
        if not _in_reach(form.record, reach) or form.since_us >= form.until_us:
            continue
        if stays and stays[-1].until_us == form.since_us:
            stays[-1] = stays[-1]._replace(until_us=form.until_us)
        else:
            stays.append(Member(device, form.since_us, form.until_us))
    return stays


def _in_reach(record: DeviceRecord, reach: Reach) -> bool:
    return (
        reach.kind in {None, record.kind}
        and reach.community in {None, record.community}
        and reach.building in {None, record.building}
        and (reach.tag is None or reach.tag in record.tags)
    )


def _like(table: Table, reach: Reach) -> list[ColumnElement[bool]]:
    """What narrows the rows down; `_in_reach` decides."""
    conditions = [
        table.c[name] == value
        for name, value in (
            ("kind", reach.kind),
            ("community", reach.community),
            ("building", reach.building),
        )
        if value is not None
    ]
    if reach.tag is not None:
        conditions.append(table.c.tags.contains(canonical([reach.tag])[1:-1], autoescape=True))
    return conditions


def _forms(
    connection: Connection, of_past: list[ColumnElement[bool]], of_now: list[ColumnElement[bool]]
) -> dict[str, list[Form]]:
    rows = connection.execute(
        select(past_devices).where(*of_past).order_by(past_devices.c.id, past_devices.c.number)
    )
    found = {
        device: [Form(record_of(row), _since(row), row.until_us, row.said_by or "") for row in own]
        for device, own in groupby(rows, key=lambda row: str(row.id))
    }
    for row in connection.execute(select(devices).where(*of_now)):
        form = Form(record_of(row), _since(row), FOREVER, row.said_by or "")
        found.setdefault(row.id, []).append(form)
    return found


def _since(row: Row[Any]) -> int:
    return EVER if row.since_us is None else int(row.since_us)

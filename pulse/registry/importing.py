"""Taking registry files in, whole or not at all, and giving them out: the core of `pulse registry`."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from pulse.access.roles import Actor
from pulse.clock import HOUR_US
from pulse.errors import BadInput
from pulse.registry import csvfile
from pulse.registry.model import WHAT, Changes, DeviceRecord, Planned, What
from pulse.registry.noting import noted
from pulse.stores.relational import audit, pastdevices, registry
from pulse.stores.relational.database import Database


class ImportResult(NamedTuple):
    """How many records were added, changed and as before; with `dry_run`, would have been."""

    what: What
    added: int
    changed: int
    unchanged: int
    dry_run: bool


def import_devices(
    db: Database, actor: Actor, text: bytes, now_us: int, dry_run: bool = False, prefix: bool = False
) -> ImportResult:
    """`import_registry` of devices."""
    return import_registry(db, actor, "devices", text, now_us, dry_run, prefix)


def import_registry(
    db: Database,
    actor: Actor,
    what: What,
    text: bytes,
    now_us: int,
    dry_run: bool = False,
    prefix: bool = False,
    *,
    backdate_us: int = HOUR_US,
) -> ImportResult:
    """Add and change what the file holds; what it does not mention stays.

    `prefix` puts its community's id before every device's. With `dry_run` everything is done and undone.
    The audit log tells who took it in, how many records changed, the file by its SHA-256, and of each record
    what was changed.
    A registered device's commissioning or retirement is changed by two people, not by a file, where that
    changes what was known of times more than `backdate_us` ago.
    Raises `BadRows` with every bad line, `BadInput` for that and for what is no CSV in UTF-8; nothing is
    taken then.
    """
    if what not in WHAT:
        raise _unknown(what)
    with db.write() as connection, noted(connection, actor, now_us, [what]):
        with connection.begin_nested() as savepoint:
            changes = _put(connection, what, text, now_us, prefix, actor.name, backdate_us)
            if dry_run:
                savepoint.rollback()
        if not dry_run:
            said = {**changes._asdict(), "prefix": prefix, "sha256": hashlib.sha256(text).hexdigest()}
            audit.append(connection, actor, "registry.import", f"registry:{what}", now_us, after=said)
    return ImportResult(what, *changes, dry_run)


def export_registry(db: Database, what: What, *, known_us: int | None = None) -> str:
    """All that is registered as CSV, which `import_registry` takes back without a change.

    With `known_us` the devices as they were registered then; raises `BadInput` for other parts, which have no
    history.

    Write it to a file as `utf-8-sig`: without the byte order mark Excel reads Chinese as GBK.
    """
    with db.read() as connection:
        if known_us is not None:
            if what != "devices":
                raise BadInput("只有设备保存了历史 / only devices have a history", where="known_at")
            return csvfile.render(pastdevices.known_at(connection, known_us))
        if what == "communities":
            return csvfile.render_communities(registry.communities(connection))
        if what == "kinds":
            return csvfile.render_kinds(registry.kinds(connection))
        if what == "planned":
            quantities = registry.planned(connection).items()
            return csvfile.render_planned(Planned(*key, quantity) for key, quantity in quantities)
        if what == "devices":
            return csvfile.render(registry.devices(connection))
    raise _unknown(what)


def _put(
    connection: Connection, what: What, text: bytes, now_us: int, prefix: bool, by: str, backdate_us: int
) -> Changes:
    if what == "communities":
        return registry.put_communities(connection, csvfile.parse_communities(text), now_us)
    if what == "kinds":
        return registry.put_kinds(connection, csvfile.parse_kinds(text), now_us)
    communities = {record.id for record in registry.communities(connection)}
    kinds = {record.id for record in registry.kinds(connection)}
    if what == "planned":
        quantities = csvfile.parse_planned(text, communities=communities, kinds=kinds)
        return registry.put_planned(connection, quantities, now_us)
    if what == "devices":
        devices = csvfile.parse(text, communities=communities, kinds=kinds, prefix=prefix)
        _check_lives(connection, devices, now_us - backdate_us)
        return registry.put_devices(connection, devices, now_us, by=by)
    raise _unknown(what)


def _check_lives(connection: Connection, devices: Sequence[DeviceRecord], earliest_us: int) -> None:
    """Refuse what changes lives of registered devices before `earliest_us`."""
    known = {record.id: record for record in registry.devices(connection)}
    for after in devices:
        before = known.get(after.id)
        for fact, command in (("commissioned", "commission"), ("retired", "retire")):
            if before is None:
                break
            was, becomes = getattr(before, f"{fact}_us"), getattr(after, f"{fact}_us")
            changed = [at_us for at_us in (was, becomes) if at_us is not None]
            if was != becomes and min(changed) < earliest_us:
                raise BadInput(
                    f"改变了早已过去的时间，须由两人处理：请用 pulse device {command} / changes a time long "
                    f"past, which two people do: use `pulse device {command}`",
                    where=f"{after.id} {fact}_at",
                )


def _unknown(what: object) -> BadInput:
    return BadInput(f"{what!r} is none of {', '.join(WHAT)}", where="what")

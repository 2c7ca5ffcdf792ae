"""Passwords of devices as the broker's files need them: hashes in Mosquitto's form, never the passwords."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from pulse.stores.relational.tables import device_credentials as table
from pulse.stores.relational.values import upsert


class DeviceCredential(NamedTuple):
    """`entry` is `$7$…`; `generation` counts how often one was issued; `revoked_us` None while valid."""

    device: str
    entry: str
    issued_us: int
    generation: int
    revoked_us: int | None


def all_of(connection: Connection) -> list[DeviceCredential]:
    """Every credential ever issued and not replaced, by device."""
    return [_credential(row) for row in connection.execute(select(table).order_by(table.c.device))]


def of(connection: Connection, device: str) -> DeviceCredential | None:
    """A device's credential, None when none was issued."""
    row = connection.execute(select(table).where(table.c.device == device)).one_or_none()
    return None if row is None else _credential(row)


def put(connection: Connection, credential: DeviceCredential) -> None:
    """Store a credential in the place of the device's former one."""
    connection.execute(upsert(connection, table), credential._asdict())


def revoke(connection: Connection, device: str, now_us: int) -> bool:
    """Make a device's credential invalid; False when there was no valid one."""
    valid = update(table).where(table.c.device == device, table.c.revoked_us.is_(None))
    return connection.execute(valid.values(revoked_us=now_us)).rowcount > 0


def _credential(row: Row[Any]) -> DeviceCredential:
    return DeviceCredential(row.device, row.entry, row.issued_us, row.generation, row.revoked_us)

"""Failed sign-ins by user and by address, for the backoff of `pulse.access.lockout`."""

from sqlalchemy import Connection, delete, select

from pulse.access.lockout import Attempts
from pulse.stores.relational.tables import attempts as table
from pulse.stores.relational.values import upsert


def of(connection: Connection, subject: str) -> Attempts:
    """What is known of a subject (`user:alice`, `address:192.0.2.7/32`)."""
    row = connection.execute(select(table).where(table.c.subject == subject)).one_or_none()
    return Attempts() if row is None else Attempts(row.failures, row.last_us, row.until_us)


def put(connection: Connection, subject: str, attempts: Attempts) -> None:
    """Store what is known of a subject."""
    connection.execute(upsert(connection, table), {"subject": subject, **attempts._asdict()})


def forget(connection: Connection, subject: str) -> None:
    """Begin anew with a subject."""
    connection.execute(delete(table).where(table.c.subject == subject))


def trim(connection: Connection, before_us: int) -> int:
    """Forget subjects whose last failure lies before `before_us`."""
    return connection.execute(delete(table).where(table.c.last_us < before_us)).rowcount

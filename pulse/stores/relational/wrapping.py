"""Driver errors become ours at the edge, with the driver's as the cause."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import exc

from pulse.errors import Conflict, StoreError, StoreRejected, StoreUnavailable


@contextlib.contextmanager
def wrapped(shown: str) -> Iterator[None]:
    """Turn SQLAlchemy's errors into the tree of `pulse.errors`; `shown` names the database to people."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise translate(error, shown) from error


def translate(error: exc.SQLAlchemyError, shown: str) -> StoreError | Conflict:
    """Our error for one of SQLAlchemy's."""
    said = _said(error)
    if isinstance(error, exc.IntegrityError):
        return Conflict(f"{shown}: contradicts what is recorded: {said}")
    if isinstance(error, exc.TimeoutError):
        return StoreUnavailable(f"{shown}: every connection is in use; try again")
    if isinstance(error, exc.OperationalError | exc.InterfaceError) and not said.startswith("no such"):
        return StoreUnavailable(f"{shown}: {said}{_advice(said)}")
    # PostgreSQL says the latter of a standby, to which a failover may lead for a while.
    if isinstance(error, exc.DBAPIError) and (error.connection_invalidated or "read-only" in said):
        return StoreUnavailable(f"{shown}: {said}; try again")
    if isinstance(error, exc.DBAPIError):
        return StoreRejected(f"{shown}: {said}")
    return StoreError(f"{shown}: {said}")


def _said(error: exc.SQLAlchemyError) -> str:
    """The driver's own first line, without the statement and its values."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _advice(said: str) -> str:
    for sign, advice in (
        ("unable to open", "check that its folder exists and may be written"),
        ("readonly", "check that this user may write the file and its folder"),
        ("full", "free some space"),
        ("refused", "check that PostgreSQL runs and that PULSE_DATABASE_URL names its host and port"),
        ("connection failed", "check PULSE_DATABASE_URL"),
    ):
        if sign in said:
            return f"; {advice}"
    return ""

"""Verifying the audit log, against its own end and against an end that somebody noted elsewhere."""

from sqlalchemy import Connection

from pulse import chain
from pulse.access.chain import links
from pulse.chain import Head, Verified
from pulse.stores.relational import audit


def verify(connection: Connection, noted: Head | None = None) -> Verified:
    """Read the whole log; `noted` is an end that it once had, which it may have grown beyond since."""
    return chain.verify(links(audit.walk(connection)), audit.head(connection), noted)

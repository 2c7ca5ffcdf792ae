"""What commands share that change an installation: its database, and who runs them."""

import contextlib
import getpass
import os
import socket
from collections.abc import Iterator

from pulse.access.roles import Actor, command_line
from pulse.settings import Settings
from pulse.stores.relational.database import Database


def operator() -> Actor:
    """Whoever runs this command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        user = str(os.getuid())
    return command_line(user, socket.gethostname())


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """The installation's relational database, migrated to this program."""
    db = Database(settings.relational_url())
    db.open()
    try:
        yield db
    finally:
        db.close()

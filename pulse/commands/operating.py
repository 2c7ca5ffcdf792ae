"""What commands share that change an installation: its database, and who runs them."""

import contextlib
import getpass
import os
import socket
from collections.abc import Iterable, Iterator

from pulse.access.roles import Actor, command_line
from pulse.errors import BadInput
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


def check_known(option: str, value: str | None, known: Iterable[str]) -> None:
    """Raise `BadInput` naming the option for a value that is not among the known ones; None asks for none."""
    names = list(known)
    if value is not None and value not in names:
        raise BadInput(
            f"没有 {value}；有 / there is none; there are: {', '.join(names) or '-'}", where=option
        )


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """The installation's relational database, migrated to this program."""
    db = Database(settings.relational_url())
    db.open()
    try:
        yield db
    finally:
        db.close()

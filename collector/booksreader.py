"""Reading a changed registry beside the ledger's work: for a million devices it takes seconds."""

import threading

from collector import recovery
from collector.recovery import Books
from pulse.settings import Settings
from pulse.stores.relational.database import Database


class BooksReader:
    """Reads the books in a thread of its own. The methods belong to one thread."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._thread: threading.Thread | None = None
        self._found: list[Books | BaseException] = []

    @property
    def busy(self) -> bool:
        """Whether something was asked for that nobody has taken yet."""
        return self._thread is not None

    def start(self, now_us: int) -> None:
        """Begin to read at `now_us`; what was read before and not taken is forgotten."""
        found: list[Books | BaseException] = []

        def work() -> None:
            try:
                with self._db.read() as connection:
                    found.append(recovery.read_books(connection, self._settings, now_us))
            except BaseException as error:
                found.append(error)

        self._found = found
        self._thread = threading.Thread(target=work, name="collector-registry", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """What is being read is not wanted any more."""
        self._thread, self._found = None, []

    def taken(self) -> Books | None:
        """What was read, once; None while it is not ready. Raises what kept it from being read."""
        if self._thread is None or self._thread.is_alive():
            return None
        found = self._found.pop()
        self.forget()
        if isinstance(found, BaseException):
            raise found
        return found

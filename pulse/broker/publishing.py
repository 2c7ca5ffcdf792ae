"""The broker's files follow the database: after every change of credentials, and at every start."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pulse import logs
from pulse.broker.files import BrokerFiles, process_id, reload
from pulse.settings import Settings
from pulse.stores.relational import credentials
from pulse.stores.relational.database import Database

log = logs.get(__name__)

OWN_FOLDER = "broker"


class Outcome(StrEnum):
    """What became of the files, from the broker's point of view."""

    NONE = "none"
    """No folder is known: somebody else has to bring the entries to the broker."""
    WRITTEN = "written"
    """They lie there; the broker was not told, because it watches them itself or does not run."""
    RELOADED = "reloaded"
    """And the running broker was told."""
    OPEN = "open"
    """The running broker of `pulse serve` lets everybody in until it starts again."""


def folder_of(settings: Settings) -> Path | None:
    """Where the broker's files belong: as set, else beside our own broker; None for somebody else's."""
    if settings.broker_dir is not None:
        return settings.broker_dir
    return settings.data_dir.resolve() / OWN_FOLDER if settings.mqtt_url is None else None


def own_folder(settings: Settings) -> Path:
    """The folder of `pulse serve`'s own broker, made where it is missing, for its user only."""
    folder = settings.data_dir.resolve() / OWN_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write(db: Database, files: BrokerFiles, services: Mapping[str, str] | None = None) -> None:
    """Write the files from the database, only while they are held: so the last writer has read the newest."""
    with db.read() as connection:
        valid = {c.device: c.entry for c in credentials.all_of(connection) if c.revoked_us is None}
    files.write(valid, services)


def publish(db: Database, settings: Settings) -> Outcome:
    """Bring the files up to the database and have the broker read them.

    Call it after the transaction that changed credentials, and at the start: what a crash left between the
    two is mended by the next call. Raises `PulseError`; the database then holds the change all the same.
    """
    folder = folder_of(settings)
    if folder is None:
        return Outcome.NONE
    if settings.broker_dir is None:
        own_folder(settings)
    files = BrokerFiles(folder)
    with files.held():
        write(db, files)
    own = files.own() if settings.broker_dir is None else None
    if own is not None and not own.asks:
        return Outcome.OPEN
    if own is not None and not own.mosquitto:
        # The embedded broker looks at the file whenever somebody signs in.
        return Outcome.RELOADED
    pid = own.pid if own is not None else None
    if settings.broker_pid is not None:
        pid = process_id(settings.broker_pid)
    if pid is None:
        return Outcome.WRITTEN
    reload(pid)
    log.info("broker_reloaded", folder=str(folder), pid=pid)
    return Outcome.RELOADED

"""`pulse registry import|export`: the registry as CSV files."""

import hashlib
from pathlib import Path

from pulse.clock import SystemClock, parse_time
from pulse.commands.operating import database, operator
from pulse.errors import BadInput
from pulse.registry.importing import export_registry, import_registry
from pulse.registry.model import WHAT, What
from pulse.settings import Settings
from pulse.stores.relational import audit


def imported(settings: Settings, path: Path, what: str, *, dry_run: bool, prefix: bool) -> str:
    """Take a file in, whole or not at all, and say what it did. Raises `BadInput` naming every bad row."""
    table = _table(what)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    with database(settings) as db:
        now_us, backdate_us = SystemClock().now_us(), settings.maintenance_backdate_us()
        result = import_registry(
            db, operator(), table, text, now_us, dry_run, prefix, backdate_us=backdate_us
        )
    done = "试导入，未写入 / dry run, nothing taken" if dry_run else "已导入 / imported"
    return (
        f"{path}: {done}: 新增 / added {result.added}, "
        f"变更 / changed {result.changed}, 未变 / unchanged {result.unchanged}"
    )


def exported(settings: Settings, what: str, known_at: str | None = None) -> str:
    """A table of the registry as CSV; with a byte order mark, without which Excel reads Chinese as GBK.

    With `known_at` devices as they were registered then. The audit log keeps that it was taken out.
    """
    table = _table(what)
    known_us = None if known_at is None else parse_time(known_at, "--known-at")
    with database(settings) as db:
        text = "\ufeff" + export_registry(db, table, known_us=known_us)
        with db.write() as connection:
            said = {
                "what": table,
                "known_at": known_at,
                "sha256_of_the_file": hashlib.sha256(text.encode()).hexdigest(),
            }
            audit.append(
                connection, operator(), "registry.export", "registry", SystemClock().now_us(), after=said
            )
    return text


def _table(what: str) -> What:
    if what not in WHAT:
        raise BadInput(f"{what!r} is none of {', '.join(WHAT)}", where="--what")
    return what

"""`pulse audit …`: reading, verifying and exporting the log of who did what."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import typer

from pulse.access.chain import Entry
from pulse.access.showing import COLUMNS, flat, plain, printable
from pulse.access.verifying import verify
from pulse.chain import head_of, shown
from pulse.clock import SystemClock, parse_time, to_iso
from pulse.commands.operating import database, operator
from pulse.errors import BadInput, PulseError
from pulse.settings import Settings
from pulse.stores.relational import audit
from pulse.stores.relational.audit import Filter


def wanted(
    actor: str | None,
    action: str | None,
    subject: str | None,
    outcome: str | None,
    from_: str | None,
    to: str | None,
    community: str | None,
) -> Filter:
    """The filter of the options. Raises `BadInput` naming the option that cannot be."""
    outcomes = (audit.DONE, audit.REFUSED, audit.FAILED)
    if outcome is not None and outcome not in outcomes:
        raise BadInput(f"use one of {', '.join(outcomes)}", where="--outcome")
    return Filter(
        actor,
        action,
        subject,
        outcome,
        None if from_ is None else parse_time(from_, "--from"),
        None if to is None else parse_time(to, "--to"),
        None if community is None else frozenset({community}),
    )


def listed(settings: Settings, which: Filter, limit: int, *, as_json: bool) -> Iterator[str]:
    """The newest entries that match, newest first: a line each, or a JSON object a line."""
    with database(settings) as db, db.read() as connection:
        entries = audit.listing(connection, which, limit=limit)
    for entry in entries:
        yield json.dumps(plain(entry), ensure_ascii=False) if as_json else _line(entry)


def verified(settings: Settings, noted: str | None) -> None:
    """Print how many entries hold and the head to note elsewhere. Raises `PulseError` at a broken link."""
    known = None if noted is None else head_of(noted, "pulse audit verify")
    with database(settings) as db, db.read() as connection:
        found = verify(connection, known)
    if found.broken is not None:
        raise PulseError(
            f"审计日志在第 {found.broken.number} 条断开：{found.broken.reason_zh} / the audit log is broken "
            f"at entry {found.broken.number}: {found.broken.reason}"
        )
    typer.echo(f"{found.links} 条完好 / {found.links} entries hold")
    typer.echo(shown(found.head))


def exported(settings: Settings, path: Path) -> None:
    """Write the whole log into a new file: `.jsonl` to check it by, else `.csv`. The export is logged."""
    from api.csvfile import lines

    if path.suffix not in {".csv", ".jsonl"}:
        raise BadInput("文件名请以 .csv 或 .jsonl 结尾 / end the name in .csv or .jsonl", where=str(path))
    with database(settings) as db:
        with db.write() as connection:
            audit.append(connection, operator(), "audit.export", "audit", SystemClock().now_us())
        try:
            out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise BadInput(f"cannot be made: {error.strerror}", where=str(path)) from error
        with os.fdopen(out, "wb") as file, db.read() as connection:
            entries = map(flat, audit.walk(connection))
            if path.suffix == ".csv":
                file.writelines(lines(COLUMNS, entries))
            else:
                file.writelines(json.dumps(entry, ensure_ascii=False).encode() + b"\n" for entry in entries)
    typer.echo(f"已写入 / written: {path}", err=True)


def _line(entry: Entry) -> str:
    said = " → ".join(text for text in (entry.before, entry.after) if text is not None)
    return "  ".join(
        filter(
            None,
            (
                str(entry.number),
                to_iso(entry.at_us),
                printable(entry.actor),
                printable(entry.origin),
                entry.action,
                entry.outcome,
                printable(entry.subject),
                entry.community,
                said,
            ),
        )
    )

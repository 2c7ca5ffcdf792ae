"""`pulse catalogue list|show|history|import|export|withdraw`: the kinds of data that are shared."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from pulse.access import catalogue as declaring
from pulse.access.catalogue import Changes
from pulse.access.showing import printable
from pulse.clock import SystemClock, parse_time, to_iso
from pulse.commands.operating import database, operator
from pulse.errors import BadInput, NotFound
from pulse.settings import Settings
from pulse.sharing import catalogue_file
from pulse.sharing.catalogue import DataKind, members
from pulse.stores.relational import catalogue


class Asked(NamedTuple):
    """The times as they were given; None is now."""

    at: str | None = None
    known_at: str | None = None


def listed(settings: Settings, asked: Asked, *, as_json: bool) -> Iterator[str]:
    """A line for each kind in the catalogue. Raises `BadInput`."""
    for kind in _in_force(settings, asked).values():
        yield json.dumps(members(kind), ensure_ascii=False) if as_json else _line(kind)


def described(settings: Settings, name: str, asked: Asked, *, as_json: bool) -> str:
    """A kind with all that is said of it. Raises `BadInput` and `NotFound`."""
    kind = _in_force(settings, asked).get(name)
    if kind is None:
        raise NotFound(f"目录中没有 {name} / the catalogue has no {name}")
    said = members(kind)
    if as_json:
        return json.dumps(said, ensure_ascii=False, indent=2)
    return yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=100).rstrip()


def history(settings: Settings, name: str, *, as_json: bool) -> Iterator[str]:
    """A line for each version. Raises `NotFound`."""
    with database(settings) as db, db.read() as connection:
        found = declaring.history(connection, name)
    for version in found:
        one = declaring.as_members(version)
        if as_json:
            yield json.dumps(one, ensure_ascii=False)
        else:
            what = "移出目录 / left the catalogue" if version.says is None else _line(version.says)
            yield printable(
                f"自/from {one['from']}  记录/recorded {one['recorded_at']}  {version.said_by}  {what}"
            )


def taken(settings: Settings, file: Path, from_: str | None, reason: str, *, dry: bool) -> Iterator[str]:
    """Take a file, whole or not at all, and say what changed. Raises `BadInput` by place."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"无法读取 / cannot be read: {error.strerror}", where=str(file)) from error
    except UnicodeDecodeError:
        raise BadInput("不是 UTF-8 / is not UTF-8", where=str(file)) from None
    kinds = catalogue_file.placed(text, str(file))
    since_us = None if from_ is None else parse_time(from_, "--from")
    with database(settings) as db, db.write() as connection:
        now_us = SystemClock().now_us()
        found = declaring.take(
            connection, operator(), kinds, now_us, since_us=since_us, reason=reason, dry=dry
        )
    yield from _changes(found, dry=dry)


def exported(settings: Settings, asked: Asked) -> str:
    """The catalogue as a file that `taken` reads. Raises `BadInput`."""
    return catalogue_file.written(_in_force(settings, asked).values()).rstrip()


def withdrawn(settings: Settings, name: str, from_: str | None, reason: str) -> str:
    """Let a kind leave the catalogue. Raises `BadInput` and `NotFound`."""
    since_us = None if from_ is None else parse_time(from_, "--from")
    with database(settings) as db, db.write() as connection:
        now_us = SystemClock().now_us()
        said = declaring.withdraw(connection, operator(), name, now_us, since_us=since_us, reason=reason)
    return printable(f"{name} 自 {to_iso(said.since_us)} 起移出目录 / leaves the catalogue then")


def _in_force(settings: Settings, asked: Asked) -> dict[str, DataKind]:
    now_us = SystemClock().now_us()
    at_us = now_us if asked.at is None else parse_time(asked.at, "--at")
    known_us = now_us if asked.known_at is None else parse_time(asked.known_at, "--known-at")
    with database(settings) as db, db.read() as connection:
        return catalogue.load(connection).in_force(at_us, known_us)


def _changes(found: Changes, *, dry: bool) -> Iterator[str]:
    for kinds, mark, words in (
        (found.new, "+", "新增 / new"),
        (found.changed, "~", "更改 / changed"),
        (found.same, "=", "未变 / the same"),
    ):
        for kind in kinds:
            yield printable(f"{mark} {kind.id}  {words}")
    count = len(found.new) + len(found.changed)
    if dry:
        yield f"试运行：将更改 {count} 种，未写入 / dry run: {count} would change, nothing was written"
    else:
        yield f"已更改 {count} 种；文件未提及的不变 / {count} changed; what the file does not name stays"


def _line(kind: DataKind) -> str:
    flags = [
        word for flag, word in ((kind.quiet, "可静默/quiet"), (kind.personal, "个人数据/personal")) if flag
    ]
    return printable(
        "  ".join(
            [
                kind.id,
                f"{kind.name_zh} {kind.name_en}".strip(),
                f"来源/sources {', '.join(kind.sources)}",
                f"新鲜/fresh {kind.freshness_s:g} s",
                *flags,
            ]
        )
    )

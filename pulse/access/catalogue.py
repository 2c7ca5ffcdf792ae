"""What people say of the catalogue of kinds of data, each word with its audit entry.

Nothing here changes what was: a word holds from its declaration on, or from a later time.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pulse.access.policies import MOST_REASON
from pulse.access.roles import Actor
from pulse.clock import to_iso
from pulse.errors import BadInput, NotFound
from pulse.sharing import schemas
from pulse.sharing.catalogue import Catalogue, DataKind, Version, members
from pulse.stores.relational import audit, registry
from pulse.stores.relational import catalogue as versions

MOST_KINDS = 200
"""Kinds in the catalogue at a time."""


class Changes(NamedTuple):
    """What a file says that the catalogue does not: kinds that are new, others that are changed, and which
    are as they were.
    """

    new: list[DataKind]
    changed: list[DataKind]
    same: list[DataKind]


def declare(
    connection: Connection,
    actor: Actor,
    kind: DataKind,
    now_us: int,
    *,
    since_us: int | None = None,
    reason: str = "",
) -> Version | None:
    """Let a kind be in the catalogue as described from `since_us` (now) on; None where it is already.

    Raises `BadInput` naming the member that cannot be.
    """
    found = take(connection, actor, [("", kind)], now_us, since_us=since_us, reason=reason)
    if not found.new and not found.changed:
        return None
    return versions.load(connection).history(kind.id)[-1]


def take(
    connection: Connection,
    actor: Actor,
    kinds: Sequence[tuple[str, DataKind]],
    now_us: int,
    *,
    since_us: int | None = None,
    reason: str = "",
    dry: bool = False,
) -> Changes:
    """Take what a file says, all of it or nothing; `dry` only says what would be.

    Each kind comes with its place in the file, by which `BadInput` names what cannot be. Kinds that it does
    not name stay as they are.
    """
    words, start_us = _words(reason), _start(since_us, now_us)
    for where, kind in kinds:
        schemas.check(kind, where)
    catalogue = versions.load(connection)
    changes, holding = compared(catalogue, (kind for _, kind in kinds), start_us)
    known = {kind.id for kind in registry.kinds(connection)}
    for where, kind in kinds:
        # What holds already was accepted, or came with the product.
        for position, source in enumerate(() if kind in changes.same else kind.sources):
            if source not in known:
                place = f"sources[{position}]"
                raise BadInput(
                    f"没有登记设备类别 {source} / no kind of device {source} is registered",
                    where=f"{where}.{place}" if where else place,
                )
    if len(holding) + len(changes.new) > MOST_KINDS:
        raise BadInput(f"目录至多 {MOST_KINDS} 种 / at most {MOST_KINDS} kinds in the catalogue")
    if not dry:
        for kind in [*changes.new, *changes.changed]:
            said = Version(kind.id, start_us, now_us, kind, actor.name)
            _append(connection, actor, said, holding.get(kind.id), words)
    return changes


def compared(
    catalogue: Catalogue, kinds: Iterable[DataKind], at_us: int
) -> tuple[Changes, dict[str, DataKind]]:
    """What of the kinds is new or other than what holds from then on, and what holds then."""
    holding = catalogue.in_force(at_us)
    changes = Changes([], [], [])
    for kind in kinds:
        before = holding.get(kind.id)
        later = any(v.since_us > at_us for v in catalogue.history(kind.id))
        if before is None:
            changes.new.append(kind)
        elif before != kind or later:
            # A word for a later time would end what is said now: it is said again.
            changes.changed.append(kind)
        else:
            changes.same.append(kind)
    return changes, holding


def withdraw(
    connection: Connection,
    actor: Actor,
    name: str,
    now_us: int,
    *,
    since_us: int | None = None,
    reason: str = "",
) -> Version:
    """Let a kind leave the catalogue from `since_us` (now) on. Raises `NotFound` for one not in it."""
    words, start_us = _words(reason), _start(since_us, now_us)
    holding = versions.load(connection).in_force(start_us)
    if name not in holding:
        raise NotFound(f"目录中没有 {name} / the catalogue has no {name}")
    said = Version(name, start_us, now_us, None, actor.name)
    _append(connection, actor, said, holding[name], words)
    return said


def history(connection: Connection, name: str) -> list[Version]:
    """Everything that was ever said of a kind, in that order. Raises `NotFound`."""
    found = versions.load(connection).history(name)
    if not found:
        raise NotFound(f"目录中从未有 {name} / the catalogue never had {name}")
    return found


def as_members(version: Version) -> dict[str, Any]:
    """A version as people and programs get it."""
    return {
        "id": version.id,
        "from": to_iso(version.since_us),
        "recorded_at": to_iso(version.recorded_us),
        "said_by": version.said_by,
        "says": None if version.says is None else members(version.says),
    }


def _append(connection: Connection, actor: Actor, said: Version, before: DataKind | None, words: str) -> None:
    versions.append(connection, [said])
    subject, at_us = f"data_kind:{said.id}", said.recorded_us
    old: Mapping[str, Any] = {} if before is None else members(before)
    told = {"since_us": said.since_us, **({"reason": words} if words else {})}
    if said.says is None:
        audit.append(connection, actor, "catalogue.withdraw", subject, at_us, before=old, after=told)
    else:
        new = {**members(said.says), **told}
        audit.append(connection, actor, "catalogue.set", subject, at_us, before=old, after=new)


def _start(since_us: int | None, now_us: int) -> int:
    if since_us is not None and since_us < now_us:
        raise BadInput(
            f"早于现在（{to_iso(now_us)}）；不重判过去 / lies in the past, which nothing judges anew",
            where="from",
        )
    return now_us if since_us is None else since_us


def _words(reason: str) -> str:
    words = " ".join(reason.split())
    if len(words) > MOST_REASON or not words.isprintable():
        raise BadInput(
            f"至多 {MOST_REASON} 个可见字符 / at most {MOST_REASON} visible characters", where="reason"
        )
    return words

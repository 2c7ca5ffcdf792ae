"""`pulse recompute`: the online rate of a period from the raw messages, against the intervals."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import typer

from pulse.clock import DAY_US, HOUR_US, SECOND_US, Clock, SystemClock, parse_time, to_iso
from pulse.commands.operating import check_known, database
from pulse.errors import BadInput
from pulse.indicators.books import Library
from pulse.indicators.present import described
from pulse.indicators.recompute import Asked as Period
from pulse.indicators.recompute import Comparison, Recomputing
from pulse.ledger.model import State
from pulse.ledger.rates import Figures
from pulse.settings import Settings
from pulse.stores.opening import open_store
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database
from pulse.stores.trust import ClockTrust

_LISTED = 20


class Asked(NamedTuple):
    """The options as they were given."""

    from_: str | None
    to: str | None
    known_at: str | None
    community: str | None
    device: str | None


def shown(
    settings: Settings, asked: Asked, *, as_json: bool, clock: Clock | None = None
) -> tuple[list[str], bool]:
    """What the command prints, and whether messages and intervals agree.

    Raises `BadInput` naming the option that cannot be, and `StoreUnavailable`.
    """
    clock = clock or SystemClock()
    with database(settings) as db:
        _check(db, asked)
        library = Library(db, clock, settings.default_timeout_s)
        period = _period(asked, library)
        store = open_store(settings, clock_trusted=ClockTrust(db, clock))
        with contextlib.closing(store):
            store.open()
            recomputing = Recomputing(
                db,
                library,
                store,
                clock,
                backlog_lateness_us=round(settings.backlog_lateness_s * SECOND_US),
                retention_days=settings.raw_retention() if settings.influxdb_url else None,
            )
            found = recomputing.compare(period, _progress())
    lines = [json.dumps(_answer(found), ensure_ascii=False, indent=2)] if as_json else list(_lines(found))
    return lines, not found.differing


def _check(db: Database, asked: Asked) -> None:
    with db.read() as connection:
        communities = [own.id for own in registry.communities(connection)]
        unknown = asked.device is not None and registry.device(connection, asked.device) is None
    check_known("--community", asked.community, communities)
    if unknown:
        raise BadInput(f"没有登记设备 {asked.device} / no device of that id is registered", where="--device")


def _period(asked: Asked, library: Library) -> Period:
    known_us = None if asked.known_at is None else parse_time(asked.known_at, "--known-at")
    to_us = parse_time(asked.to, "--to") if asked.to is not None else known_us or _complete_us(library)
    from_us = to_us - HOUR_US if asked.from_ is None else parse_time(asked.from_, "--from")
    within = None if asked.community is None else frozenset({asked.community})
    return Period(from_us, to_us, known_us, within, asked.device)


def _complete_us(library: Library) -> int:
    """Up to when the database is complete: the last that a collector wrote."""
    as_of = library.as_of()
    return as_of.blind_since_us if as_of.stale and as_of.blind_since_us is not None else as_of.at_us


def _progress() -> Any:
    """Says on a terminal how far it is."""
    if not sys.stderr.isatty():
        return None

    def passed(done: int, count: int) -> None:
        if done % 10 == 0 or done == count:
            end = "\n" if done == count else ""
            typer.echo(f"\r设备 devices {done}/{count}{end}", nl=False, err=True)

    return passed


def _answer(found: Comparison) -> dict[str, Any]:
    kept = found.kept
    return {
        "from": to_iso(found.asked.from_us),
        "to": to_iso(found.asked.to_us),
        "known_at": to_iso(found.known_us),
        "proved_from": to_iso(found.proved_from_us),
        "messages_kept_from": None if kept is None else to_iso(kept.from_us),
        "deleted_at": None if kept is None or kept.deleted_us is None else to_iso(kept.deleted_us),
        "messages": found.messages,
        "goodbyes_from_intervals": found.goodbyes,
        "agrees": not found.differing,
        "unit": "device_seconds",
        "from_messages": described(found.from_messages, SECOND_US),
        "from_intervals": described(found.from_intervals, SECOND_US),
        "differing": [
            {"id": device.id, "from_messages": _states(proved), "from_intervals": _states(said)}
            for device, proved, said in found.differing
        ],
    }


def _states(figures: Figures) -> dict[str, float]:
    return {state.slug: figures.of(state) / SECOND_US for state in State if figures.of(state)}


def _lines(found: Comparison) -> Iterator[str]:
    asked = found.asked
    yield f"{to_iso(asked.from_us)} – {to_iso(asked.to_us)}，按 {to_iso(found.known_us)} 所知 / as known then"
    if found.proved_from_us > asked.from_us:
        yield from _unproved(found)
    if found.proved_from_us >= asked.to_us:
        return
    yield f"读取消息 / messages read: {found.messages}"
    if found.goodbyes:
        yield (
            f"{found.goodbyes} 台的下线声明更早，取自区间 / "
            f"of {found.goodbyes} devices the goodbye is older, and was taken from the intervals"
        )
    yield f"由消息 / from messages:    {_rate(found.from_messages)}"
    yield f"由区间 / from intervals:   {_rate(found.from_intervals)}"
    if not found.differing:
        yield "一致 / they agree"
        return
    yield f"{len(found.differing)} 台不一致 / devices differ:"
    for device, proved, said in found.differing[:_LISTED]:
        yield f"  {device.id}: 消息 messages {_amounts(proved)}；区间 intervals {_amounts(said)}"
    if len(found.differing) > _LISTED:
        yield f"  … --json 列出全部 / --json lists all {len(found.differing)}"


def _unproved(found: Comparison) -> Iterator[str]:
    kept = found.kept
    assert kept is not None  # noqa: S101 - else everything can be proved
    days = (min(found.proved_from_us, found.asked.to_us) - found.asked.from_us) / DAY_US
    when = "" if kept.deleted_us is None else f"，删除于 / deleted at {to_iso(kept.deleted_us)}"
    yield (
        f"原始消息只保留自 / raw messages are kept only from {to_iso(kept.from_us)}{when}："
        f"所问的 {days:.3g} 天只有区间为凭，不能再由消息证明 / "
        f"of {days:.3g} days asked about the intervals speak alone, and messages can no longer prove them"
    )


def _rate(figures: Figures) -> str:
    said = described(figures, SECOND_US)
    if said["percent"] is None:
        return "—"
    upper = "" if said["percent"] == said["percent_upper"] else f"–{said['percent_upper']}"
    return f"{said['percent']}{upper} %  {said['running']:,.6f} / {said['total']:,.6f} s"


def _amounts(figures: Figures) -> str:
    return "、".join(f"{slug} {amount:g} s" for slug, amount in _states(figures).items())

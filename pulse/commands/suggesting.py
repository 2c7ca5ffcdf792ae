"""`pulse policy suggest`: what devices really did, and the policies that would fit. It changes nothing."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import typer

from pulse.access.showing import printable
from pulse.clock import DAY_US, HOUR_US, SECOND_US, Clock, SystemClock
from pulse.commands.operating import database
from pulse.commands.policies import Whose
from pulse.errors import BadInput
from pulse.ledger.model import FOREVER, Blind, Device, Evidence, known_blinds
from pulse.messages import Channel
from pulse.registry.suggesting import LEAST_BEATS, Agreed, Beats, Reason, Suggestion, common, suggest
from pulse.settings import Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.opening import open_store
from pulse.stores.relational import coverage, policies, registry
from pulse.versions import timeline

MOST_LISTED = 20
"""Devices listed below their kind; `--json` gives all."""

_WORDS = {
    Reason.RHYTHM: "间隔为心跳间距的中位数 / the interval is the median gap between beats",
    Reason.MISSED_BEATS: "超时容许丢三次心跳 / the timeout lets three beats be missed",
    Reason.USUAL_GAPS: "超时为 99% 的间距再加一半 / the timeout is what 99% of the gaps keep to, and half as "
    "much again",
    Reason.BUFFERS: "有缓存补传 / it buffers, and delivers late",
    Reason.PROMPT: "没有缓存补传 / it delivers promptly",
    Reason.CLOCK_OFF: "时钟有偏差 / its clock is off",
    Reason.TIME_ZONE: "时钟偏差像是时区弄错 / its clock is off by what looks like a time zone",
    Reason.CLOCK_RIGHT: "时钟正常 / its clock is right",
}


class Found(NamedTuple):
    """A device, what is agreed with it, how many beats were seen, and the suggestion if there were enough."""

    device: Device
    agreed: Agreed
    beats: int
    suggestion: Suggestion | None


def shown(
    settings: Settings, whose: Whose, days: int, *, as_json: bool, clock: Clock | None = None
) -> Iterator[str]:
    """What the command prints, kind by kind. Raises `BadInput` for who is not registered."""
    now_us = (clock or SystemClock()).now_us()
    whose.key()
    chosen, blinds = _chosen(settings, whose, now_us)
    with_progress = _progress(len(chosen))
    store = open_store(settings)
    try:
        found = []
        for at, (device, agreed) in enumerate(chosen):
            with_progress(at)
            found.append(_look(store, device, agreed, blinds, now_us - days * DAY_US, now_us))
        with_progress(len(chosen))
    finally:
        store.close()
    if whose.device is not None:
        yield from [json.dumps(_device(found[0]), ensure_ascii=False)] if as_json else _alone(found[0])
        return
    for kind in sorted({one.device.kind for one in found}):
        own = [one for one in found if one.device.kind == kind]
        yield from _json(kind, own) if as_json else _of_kind(kind, own)


def _chosen(settings: Settings, whose: Whose, now_us: int) -> tuple[list[tuple[Device, Agreed]], list[Blind]]:
    with database(settings) as db, db.read() as connection:
        listed = registry.ledger_devices(connection, default_timeout_s=settings.default_timeout_s)
        resolver = policies.Resolver(connection, round(settings.default_timeout_s * SECOND_US))
        own = policies.all_histories(connection, [policies.DEVICE])
        known = known_blinds([blind for _, blind in coverage.entries(connection)], now_us)
    chosen = [
        device
        for device in listed
        if whose.device in (None, device.id)
        and whose.community in (None, device.community)
        and whose.kind in (None, device.kind)
    ]
    if not chosen:
        scope, subject = whose.key()
        raise BadInput(
            f"没有登记 {subject} 的设备 / no device of {subject} is registered", where=f"--{scope}"
        )
    agreed = []
    for device in chosen:
        terms = device.terms_at(now_us)
        chain = resolver.chain(timeline(own.get((policies.DEVICE, device.id), ())), now_us)
        interval = policies.first_said(chain, "interval_us")
        agreed.append(Agreed(interval, terms.timeout, terms.max_lateness, terms.clock_untrusted))
    return list(zip(chosen, agreed, strict=True)), known


def _look(
    store: TelemetryStore, device: Device, agreed: Agreed, blinds: Sequence[Blind], from_us: int, to_us: int
) -> Found:
    observed: list[int] = []
    measured: list[int] = []
    dated: list[bool] = []
    for begin in range(from_us, to_us, DAY_US):
        for message in store.read_messages(begin, min(begin + DAY_US, to_us), device=device.id):
            if (
                message.channel is not Channel.HEARTBEAT
                or message.evidence is Evidence.OFFLINE
                or message.queued
                or message.retained
            ):
                continue
            observed.append(message.observed_us)
            measured.append(message.measured_us or 0)
            dated.append(message.measured_us is not None)
    beats = Beats(np.array(observed, np.int64), np.array(measured, np.int64), np.array(dated, bool))
    deaf = [(b.start, min(b.end, FOREVER)) for b in blinds if b.scope.covers(device) and b.end > from_us]
    return Found(device, agreed, len(observed), suggest(beats, agreed, deaf))


def _progress(count: int) -> Callable[[int], None]:
    """Tells on a terminal how far it is; long work is a matter of minutes."""
    if not sys.stderr.isatty():
        return lambda done: None

    def tell(done: int) -> None:
        typer.echo(f"\r{done}/{count} 台设备 / devices", err=True, nl=done == count)

    return tell


# -- in words ----------------------------------------------------------------------------------------


def _of_kind(kind: str, own: Sequence[Found]) -> Iterator[str]:
    with_any = [one for one in own if one.suggestion is not None]
    yield printable(f"{kind}  {len(own)} 台设备 / devices, {len(with_any)} 台有建议 / with a suggestion")
    base = common([one.suggestion for one in with_any if one.suggestion is not None])
    if base is None:
        yield f"  心跳不足 {LEAST_BEATS} 次，没有建议 / fewer than {LEAST_BEATS} beats: no suggestion"
        return
    yield from _told(base, _agreed(with_any), "kind", kind)
    apart = [one for one in with_any if _differs(one, base)]
    for one in apart[:MOST_LISTED]:
        assert one.suggestion is not None  # noqa: S101 - those with one
        yield printable(f"  {one.device.id}（{one.device.community}）")
        yield from (f"  {line}" for line in _told(one.suggestion, one.agreed, "device", one.device.id))
    if len(apart) > MOST_LISTED:
        more = len(apart) - MOST_LISTED
        yield f"  另有 {more} 台与众不同，见 --json / {more} more that differ, see --json"


def _alone(one: Found) -> Iterator[str]:
    yield printable(f"{one.device.id}  {one.device.community}/{one.device.kind}  {one.beats} 次心跳 / beats")
    if one.suggestion is None:
        yield f"  心跳不足 {LEAST_BEATS} 次，没有建议 / fewer than {LEAST_BEATS} beats: no suggestion"
        return
    yield from _told(one.suggestion, one.agreed, "device", one.device.id)


def _told(one: Suggestion, agreed: Agreed, scope: str, subject: str) -> Iterator[str]:
    seen = one.seen
    yield (
        f"  观测/observed  间隔/interval p50 {_s(seen.interval_p50_us)} p99 {_s(seen.interval_p99_us)}，"
        f"超过现行超时/beyond the present timeout of {_s(agreed.timeout_us)}: {seen.beyond_timeout:.2%}"
    )
    if seen.skew_p50_us is not None and seen.skew_p99_us is not None:
        zone = "" if seen.zone_us is None else f"，像时区/like a time zone: {seen.zone_us / HOUR_US:+g} h"
        skew = f"p50 {_signed(seen.skew_p50_us)} p99 {_signed(seen.skew_p99_us)}"
        yield f"           时钟偏差/clock {skew}{zone}"
    if seen.late >= 0.0005:
        yield f"           迟到/late {seen.late:.1%}，p99 {_s(seen.lateness_p99_us)}"
    wanted = [f"间隔/interval {_s(one.interval_us)}", f"超时/timeout {_s(one.timeout_us)}"]
    if one.max_lateness_us:
        wanted.append(f"迟到/lateness {_s(one.max_lateness_us)}")
    if one.clock_untrusted:
        wanted.append("时钟不可信/clock untrusted")
    yield "  建议/suggested  " + "，".join(wanted)
    for reason in one.reasons:
        yield f"    · {_WORDS[reason]}"
    yield f"  效果/effect  超时之内的时间/time within the timeout {seen.alive:.2%} → {one.alive:.2%}"
    command = _command(one, agreed, scope, subject)
    yield "  " + ("与现行一致 / as agreed already" if command is None else f"采用/to apply: {command}")


def _command(one: Suggestion, agreed: Agreed, scope: str, subject: str) -> str | None:
    """The command that would apply it; None where it is agreed already.

    A declared lateness is never shortened: what did not happen lately may happen again.
    """
    words = []
    if one.interval_us != agreed.interval_us:
        words += ["--interval", f"{one.interval_us / SECOND_US:g}"]
    if one.timeout_us != agreed.timeout_us:
        words += ["--timeout", f"{one.timeout_us / SECOND_US:g}"]
    if one.max_lateness_us > agreed.max_lateness_us:
        words += ["--max-lateness", f"{one.max_lateness_us / SECOND_US:g}"]
    if one.clock_untrusted is not None and one.clock_untrusted != agreed.clock_untrusted:
        words += ["--clock", "untrusted" if one.clock_untrusted else "trusted"]
    return shlex.join(["pulse", "policy", "set", f"--{scope}", subject, *words]) if words else None


def _agreed(own: Sequence[Found]) -> Agreed:
    """What is agreed with most devices of a kind."""
    all_agreed = [one.agreed for one in own]
    return max(set(all_agreed), key=lambda agreed: (all_agreed.count(agreed), agreed.timeout_us))


def _differs(one: Found, base: Suggestion) -> bool:
    """Whether a device needs a word of its own beside its kind's, and does not have it."""
    own = one.suggestion
    if own is None or _command(own, one.agreed, "device", one.device.id) is None:
        return False
    clock_differs = own.clock_untrusted is not None and own.clock_untrusted != bool(base.clock_untrusted)
    return (
        (clock_differs and own.clock_untrusted != one.agreed.clock_untrusted)
        or own.max_lateness_us > max(base.max_lateness_us, one.agreed.max_lateness_us)
        or own.timeout_us > max(base.timeout_us, one.agreed.timeout_us)
    )


def _s(duration_us: int) -> str:
    whole = duration_us >= 1000 * SECOND_US
    return f"{duration_us // SECOND_US}s" if whole else f"{duration_us / SECOND_US:.3g}s"


def _signed(duration_us: int) -> str:
    return ("-" if duration_us < 0 else "+") + _s(abs(duration_us))


# -- for programs ------------------------------------------------------------------------------------


def _json(kind: str, own: Sequence[Found]) -> Iterator[str]:
    with_any = [one for one in own if one.suggestion is not None]
    base = common([one.suggestion for one in with_any if one.suggestion is not None])
    body = {"scope": "kind", "subject": kind, "devices": len(own), "suggested": len(with_any)}
    body |= _body(base, _agreed(with_any) if with_any else own[0].agreed, "kind", kind)
    yield json.dumps(body, ensure_ascii=False)
    for one in own:
        yield json.dumps(_device(one), ensure_ascii=False)


def _device(one: Found) -> dict[str, Any]:
    return {
        "scope": "device",
        "subject": one.device.id,
        "community": one.device.community,
        "kind": one.device.kind,
        "beats": one.beats,
        **_body(one.suggestion, one.agreed, "device", one.device.id),
    }


def _body(one: Suggestion | None, agreed: Agreed, scope: str, subject: str) -> dict[str, Any]:
    said: dict[str, Any] = {"agreed": _members(agreed)}
    if one is None:
        return said | {"observed": None, "suggestion": None, "least_beats": LEAST_BEATS}
    seen = one.seen
    observed = {
        "interval_p50_s": seen.interval_p50_us / SECOND_US,
        "interval_p99_s": seen.interval_p99_us / SECOND_US,
        "beyond_timeout": round(seen.beyond_timeout, 6),
        "skew_p50_s": None if seen.skew_p50_us is None else seen.skew_p50_us / SECOND_US,
        "skew_p99_s": None if seen.skew_p99_us is None else seen.skew_p99_us / SECOND_US,
        "time_zone_h": None if seen.zone_us is None else seen.zone_us / HOUR_US,
        "late": round(seen.late, 6),
        "lateness_p99_s": seen.lateness_p99_us / SECOND_US,
    }
    wanted = Agreed(one.interval_us, one.timeout_us, one.max_lateness_us, bool(one.clock_untrusted))
    return said | {
        "observed": observed,
        "suggestion": _members(wanted),
        "reasons": [{"code": reason.value, "text": _WORDS[reason]} for reason in one.reasons],
        "within_timeout": {"now": round(seen.alive, 6), "suggested": round(one.alive, 6)},
        "command": _command(one, agreed, scope, subject),
    }


def _members(agreed: Agreed) -> dict[str, Any]:
    return {
        "interval_s": None if agreed.interval_us is None else agreed.interval_us / SECOND_US,
        "timeout_s": agreed.timeout_us / SECOND_US,
        "max_lateness_s": agreed.max_lateness_us / SECOND_US,
        "clock_untrusted": agreed.clock_untrusted,
    }

"""`pulse spool`: what waits between the broker and the telemetry store, and whether it drains."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pulse.clock import SECOND_US, Clock, SystemClock, to_iso
from pulse.errors import NotFound
from pulse.settings import Settings
from pulse.stores.relational import coverage, spoolstatus
from pulse.stores.relational.database import Database
from pulse.stores.relational.spoolstatus import SpoolStatus

FRESH_US = 10 * SECOND_US


class Seen(NamedTuple):
    """A status: told by a running collector, or read from the file of one that ended."""

    status: SpoolStatus
    running: bool
    now_us: int


def shown(settings: Settings, *, as_json: bool, clock: Clock | None = None) -> Iterator[str]:
    """What the command prints."""
    seen = look(settings, clock or SystemClock())
    if as_json:
        yield json.dumps(members(seen), ensure_ascii=False, indent=2)
    else:
        yield from _lines(seen)


def look(settings: Settings, clock: Clock) -> Seen:
    """The collector's word if it is fresh, else the file. Raises `NotFound` if there is neither."""
    from collector import lease, spoolfile

    db = Database(settings.relational_url())
    db.open()
    try:
        with db.read() as connection:
            told = spoolstatus.read(connection)
            mark = coverage.watermark(connection)
            held = lease.holder_of(connection) is not None
    finally:
        db.close()
    now_us = clock.now_us()
    if held and told is not None and mark is not None and now_us - mark.written_us < FRESH_US:
        return Seen(told, True, now_us)
    path = settings.data_dir / "spool.db"
    if not path.exists():
        raise NotFound(
            f"没有采集器在运行，{path} 也不存在 / no collector runs and there is no {path};"
            " is --data-dir right?"
        )
    waiting = spoolfile.waiting(path)
    status = SpoolStatus(
        now_us,
        waiting.batches,
        waiting.messages,
        waiting.bytes,
        waiting.oldest_us,
        waiting.used_bytes,
        settings.spool_max_bytes,
    )
    return Seen(status, False, now_us)


def members(seen: Seen) -> dict[str, Any]:
    """The status for programs."""
    status = seen.status
    return {
        "running": seen.running,
        "at": to_iso(status.at_us),
        "batches": status.batches,
        "messages": status.messages,
        "bytes": status.bytes,
        "oldest": None if status.oldest_us is None else to_iso(status.oldest_us),
        "oldest_age_s": _age_s(seen),
        "in_per_s": status.in_per_s,
        "out_per_s": status.out_per_s,
        "used_bytes": status.used_bytes,
        "limit_bytes": status.limit_bytes,
        "share": status.share,
        "drained_in_s": status.drained_in_s() if seen.running else None,
        "grows": seen.running and status.grows(),
        "stalled": status.stalled,
        "stalled_since": None if status.stalled_since_us is None else to_iso(status.stalled_since_us),
    }


def _age_s(seen: Seen) -> float | None:
    oldest_us = seen.status.oldest_us
    return None if oldest_us is None else max(0, seen.now_us - oldest_us) / SECOND_US


def _lines(seen: Seen) -> Iterator[str]:
    status, age_s = seen.status, _age_s(seen)
    if not seen.running:
        yield (
            "没有采集器在运行，以下读自缓冲文件，可能多算最后十秒 / "
            "No collector runs; this is read from the file and may count the last ten seconds too much."
        )
    yield (
        f"等待入库 / Waiting: {status.batches} 批 batches, {status.messages} 条 messages,"
        f" {status.bytes} 字节 bytes"
    )
    if age_s is not None and status.oldest_us is not None:
        yield f"最早一条 / Oldest: {age_s:.1f} s ({to_iso(status.oldest_us)})"
    if status.in_per_s is not None and status.out_per_s is not None:
        yield f"速率 / Rates: 入 in {status.in_per_s:.1f}/s, 出 out {status.out_per_s:.1f}/s"
    yield (
        f"占用 / Used: {status.used_bytes} / {status.limit_bytes} 字节 bytes ({100 * status.share:.1f} %),"
        " PULSE_SPOOL_MAX_BYTES"
    )
    if seen.running:
        yield _estimate(status)
    if status.stalled is not None and status.stalled_since_us is not None:
        since = to_iso(status.stalled_since_us)
        yield f"已停止确认 / Acknowledging has stopped since {since}: {status.stalled}"
    elif seen.running:
        yield "正常确认 / Acknowledging."


def _estimate(status: SpoolStatus) -> str:
    left_s = status.drained_in_s()
    if left_s is not None:
        return f"预计 {left_s:.0f} 秒后清空 / Drained in {left_s:.0f} s"
    if status.grows():
        return "正在增长 / It grows."
    return "尚不能估计 / No estimate: it does not shrink."

"""`pulse sharing ratio|replay`: the data-sharing ratio now, at a past moment, or of a file."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pulse.access.showing import printable
from pulse.clock import Clock, SystemClock, parse_time
from pulse.commands.operating import check_known, database
from pulse.errors import BadInput
from pulse.indicators import sharing_replay
from pulse.indicators.books import Library
from pulse.indicators.data_sharing import DataSharing
from pulse.settings import Settings
from pulse.stores.relational import registry

STATES = {
    "shared": "已共享",
    "not_shared": "未共享",
    "unknown": "未知",
    "not_collectable": "不可采集",
}
REASONS = {
    "records_acknowledged": "记录已获确认",
    "quiet_acknowledged": "“无事”已获确认",
    "source_unknown": "无从得知设备是否在线",
    "source_offline": "声明“无事”时设备不在线",
    "records_too_old": "所确认的记录太旧",
    "statement_too_old": "“无事”声明太旧",
    "time_unknown": "所确认的记录时间不明",
    "nothing_counts": "所确认的没有可计的内容",
    "acknowledged_too_old": "最近的确认已过期",
    "never_acknowledged": "从未获确认",
    "no_device_in_service": "没有在用设备",
}


class Asked(NamedTuple):
    """The options as they were given."""

    at: str | None = None
    known_at: str | None = None
    community: str | None = None


def shown(settings: Settings, asked: Asked, *, as_json: bool, clock: Clock | None = None) -> Iterator[str]:
    """What the command prints. Raises `BadInput` naming the option that cannot be."""
    clock = clock or SystemClock()
    at_us = None if asked.at is None else parse_time(asked.at, "--at")
    known_us = None if asked.known_at is None else parse_time(asked.known_at, "--known-at")
    within = None if asked.community is None else frozenset({asked.community})
    with database(settings) as db:
        with db.read() as connection:
            names = {own.id: own.name_zh for own in registry.communities(connection)}
        check_known("--community", asked.community, names)
        sharing = DataSharing(db, Library(db, clock, settings.default_timeout_s), clock)
        answer = sharing.instant(known_us if at_us is None else at_us, known_us, within)
    if as_json:
        yield json.dumps(answer, ensure_ascii=False, indent=2)
    else:
        yield from _lines(answer, names)


def replayed(file: Path) -> bytes:
    """The answers of a file as JSON. Raises `BadInput` naming the file and the place."""
    try:
        answers = sharing_replay.replay(file.read_bytes())
    except OSError as error:
        raise BadInput(f"无法读取 / cannot be read: {error.strerror}", where=str(file)) from error
    except BadInput as error:
        raise BadInput(str(error), where=str(file)) from error
    return msgspec.json.format(msgspec.json.encode({"answers": answers}), indent=1)


def _lines(answer: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    yield f"{answer['at']}，按 {answer['known_at']} 所知 / as known then"
    yield f"数据贡献比例 / data-sharing ratio: {_ratio(answer)}"
    points = answer["score"]["points"]
    if points is not None:
        yield f"得分（假设）/ points (assumed): {points:g} / {answer['score']['of']:g}"
    for kind in answer["kinds"]:
        yield printable(f"  {_kind(kind)}")
    yield ""
    for community, own in answer["by_community"].items():
        name = " ".join(filter(None, (names.get(community), community)))
        lacking = [kind["id"] for kind in own["kinds"] if kind["state"] in {"not_shared", "unknown"}]
        yield printable(f"  {name}: {_ratio(own)}" + (f"  缺/lacks {', '.join(lacking)}" if lacking else ""))


def _ratio(part: Mapping[str, Any]) -> str:
    if part["percent"] is None:
        return "—"
    upper = "" if part["determined"] else f"–{part['percent_upper']}"
    return f"{part['percent']}{upper} %  {part['shared']}/{part['collectable']}"


def _kind(kind: Mapping[str, Any]) -> str:
    receipt = kind["receipt"]
    words = [
        f"{STATES[kind['state']]} {kind['state']}",
        f"{kind['id']} {kind['name_zh']}",
        f"{REASONS[kind['reason']]} {kind['reason']}",
    ]
    if receipt is not None:
        words.append(f"{receipt['delivery']} 确认/acknowledged {receipt['acknowledged']}")
        if receipt["expires"] is not None:
            words.append(f"有效至/until {receipt['expires']}")
    return "  ".join(words)

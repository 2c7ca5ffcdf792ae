"""`pulse statistics`: what devices did over a period, as a table or as JSON."""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pulse.clock import Clock, SystemClock, parse_time
from pulse.commands.operating import check_known, database
from pulse.indicators.books import Library
from pulse.indicators.reliability import described_device, parse_threshold
from pulse.indicators.statistics import Chosen, Own, Period, Statistics, flap_terms, worst
from pulse.settings import Settings
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database

_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class Asked(NamedTuple):
    """The options as they were given; `worst` is how many devices to list."""

    from_: str | None
    to: str | None
    known_at: str | None
    community: str | None
    kind: str | None
    threshold: str
    worst: int


class Found(NamedTuple):
    """The answer of the API, the worst devices, and what communities and kinds are called."""

    answer: dict[str, Any]
    worst: list[Own]
    names: Mapping[str, str]


def shown(settings: Settings, asked: Asked, *, as_json: bool, clock: Clock | None = None) -> Iterator[str]:
    """What the command prints. Raises `BadInput` naming the option that cannot be."""
    clock = clock or SystemClock()
    with database(settings) as db:
        found = look(settings, db, clock, asked)
    if as_json:
        items = [
            {"id": own.device.id, "community": own.device.community, "kind": own.device.kind}
            | described_device(own.tally)
            for own in found.worst
        ]
        yield json.dumps({**found.answer, "worst": items}, ensure_ascii=False, indent=2)
    else:
        yield from _lines(found)


def look(settings: Settings, db: Database, clock: Clock, asked: Asked) -> Found:
    """Ask the database. Raises `BadInput` naming the option that cannot be."""
    threshold = parse_threshold(asked.threshold, "--threshold")
    with db.read() as connection:
        communities = {own.id: own.name_zh for own in registry.communities(connection)}
        kinds = {kind.id: kind.name_zh for kind in registry.kinds(connection)}
    check_known("--community", asked.community, communities)
    check_known("--kind", asked.kind, kinds)
    library = Library(db, clock, settings.default_timeout_s)
    statistics = Statistics(library, clock, flap_terms(settings))
    period: Period = statistics.period(
        *(
            None if text is None else parse_time(text, option)
            for option, text in (("--from", asked.from_), ("--to", asked.to), ("--known-at", asked.known_at))
        )
    )
    chosen = Chosen(community=asked.community, kind=asked.kind)
    devices = worst(statistics.devices(period, chosen))[: asked.worst] if asked.worst else []
    return Found(statistics.answer(period, chosen, threshold), devices, communities | kinds)


_HEADS = (
    ("", ""),
    ("设备", "devices"),
    ("可用率", "available"),
    ("调整后", "adjusted"),
    ("停止", "down"),
    ("中断", "outages"),
    ("未恢复", "open"),
    ("失效", "failures"),
    ("失效间隔", "MTBF"),
    ("恢复时间", "MTTR"),
    ("每设备年", "per year"),
    ("抖动", "flapping"),
)
_WORST_HEADS = (
    ("停止最久的设备", "the worst devices"),
    ("可用率", "available"),
    ("停止", "down"),
    ("中断", "outages"),
    ("最长", "longest"),
    ("失效间隔", "MTBF"),
    ("恢复时间", "MTTR"),
    ("抖动", "flapping"),
)


def _lines(found: Found) -> Iterator[str]:
    answer = found.answer
    yield f"{answer['from']} – {answer['to']}，按 {answer['known_at']} 所知 / as known then"
    yield ""
    above = (f"≥{answer['above']['threshold']:g} %", "")
    rows = [_group("全部 / all", answer)]
    for parts in (answer["by_community"], answer["by_kind"]):
        rows += [_group(" ".join(filter(None, (found.names[id_], id_))), part) for id_, part in parts.items()]
    yield from _table((*_HEADS, above), rows)
    if found.worst:
        yield ""
        yield from _table(_WORST_HEADS, [_device(own) for own in found.worst])
    terms = answer["flapping_terms"]
    yield ""
    yield (
        f"抖动 / flapping: {terms['window_s'] / 60:g} min 内 {terms['changes']} 次变化 / changes;"
        " 定义 / definitions: docs/statistics.md"
    )
    if not answer["determined"]:
        yield "* 存在未知，至少这么多 / something is unknown: at least these"


def _group(name: str, part: Mapping[str, Any]) -> tuple[str, ...]:
    above = part["above"]
    count = f"{above['devices']}"
    if above["devices_upper"] != above["devices"]:
        count += f"–{above['devices_upper']}"
    return (
        name,
        str(part["devices"]),
        _available(part),
        _percent(part["availability"]["adjusted"]["percent"]),
        _span(part["down_s"]),
        str(part["outages"]) + ("" if part["determined"] else "*"),
        str(part["open"]),
        str(part["failures"]),
        _span(part["mtbf_s"]),
        _span(part["mttr_s"]),
        "—" if part["faults_per_device_year"] is None else f"{part['faults_per_device_year']:.1f}",
        f"{part['flapping']['now']}/{part['flapping']['devices']}",
        f"{count}/{above['of']}",
    )


def _device(own: Own) -> tuple[str, ...]:
    said = described_device(own.tally)
    return (
        own.device.id,
        _available(said),
        _span(said["down_s"]),
        str(said["outages"]) + ("" if said["determined"] else "*"),
        _span(None if said["longest"] is None else said["longest"]["down_s"]),
        _span(said["mtbf_s"]),
        _span(said["mttr_s"]),
        "是 yes" if said["flapping"]["now"] else f"{said['flapping']['episodes']}",
    )


def _available(part: Mapping[str, Any]) -> str:
    rate = part["availability"]
    if rate["percent"] == rate["percent_upper"]:
        return _percent(rate["percent"])
    return f"{rate['percent']}–{rate['percent_upper']} %"


def _percent(text: str | None) -> str:
    return "—" if text is None else f"{text} %"


def _span(seconds: float | None) -> str:
    """A duration in its two largest units."""
    if seconds is None:
        return "—"
    whole = round(seconds)
    place = next((n for n, (size, _) in enumerate(_SPANS) if whole >= size), len(_SPANS) - 1)
    size, unit = _SPANS[place]
    text = f"{whole // size} {unit}"
    if place + 1 < len(_SPANS):
        smaller, unit = _SPANS[place + 1]
        rest = whole % size // smaller
        text += f" {rest} {unit}" if rest else ""
    return text


def _table(heads: Sequence[tuple[str, str]], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows under their heads in two languages, the first column to the left and the others to the right."""
    lines = [tuple(zh for zh, _ in heads), tuple(en for _, en in heads), *rows]
    widths = [max(_width(line[n]) for line in lines) for n in range(len(heads))]
    for first, *others in lines:
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [" " * (width - _width(cell)) + cell for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)

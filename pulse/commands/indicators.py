"""`pulse indicators …`: whether what was published stands unchanged and follows from what is stored."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import typer

from pulse.chain import Head, Verified, head_of, shown
from pulse.clock import Clock, SystemClock, parse_time, to_iso
from pulse.commands.operating import database
from pulse.errors import BadInput
from pulse.indicators.books import Library
from pulse.indicators.indicator import Indicator
from pulse.indicators.published import published as published_indicators
from pulse.indicators.verifying import Outcome, Recomputed, recompute, verify
from pulse.settings import Settings
from pulse.stores.relational import published
from pulse.stores.relational.database import Database

NEWEST = 2_000
"""Values that are recomputed unless more or fewer are asked for: more than a day of minutes."""

COMMAND = "pulse indicators verify-chain"
_LISTED = 20
_MOST_IN_JSON = 1_000
_PROGRESS_S = 2.0


class Asked(NamedTuple):
    """The options as they were given; `recompute` None leaves it to `from_` and `to`, or the newest."""

    head: str | None = None
    recompute: bool | None = None
    from_: str | None = None
    to: str | None = None


class Span(NamedTuple):
    """Values of `from_us <= at_us < to_us` are to be recomputed; None is no bound."""

    from_us: int | None = None
    to_us: int | None = None


class Found(NamedTuple):
    """What verifying found: of the chain, how often each outcome, and what differs or is explained."""

    chain: Verified
    counts: Counter[Outcome]
    differing: list[Recomputed]
    explained: list[Recomputed]

    @property
    def holds(self) -> bool:
        """Whether nothing was tampered with."""
        return self.chain.broken is None and not self.counts[Outcome.DIFFERS]


def verified(settings: Settings, asked: Asked, *, as_json: bool, clock: Clock | None = None) -> bool:
    """Print what was found and say whether all holds. Raises `BadInput` naming the option that cannot be."""
    clock = clock or SystemClock()
    noted = None if asked.head is None else head_of(asked.head, COMMAND)
    span = _span(asked)
    with database(settings) as db:
        indicators = published_indicators(db, Library(db, clock, settings.default_timeout_s))
        found = look(db, indicators, asked, noted, span, _Progress(clock))
    if as_json:
        typer.echo(json.dumps(plain(found), ensure_ascii=False, indent=2))
    else:
        for line in _lines(found):
            typer.echo(line)
        for line in _faults(found):
            typer.echo(line, err=True)
    return found.holds


def look(
    db: Database,
    indicators: Iterable[Indicator],
    asked: Asked,
    noted: Head | None,
    span: Span,
    progress: "_Progress",
) -> Found:
    """Walk the chain, and recompute what is asked for if it holds."""
    found = Found(Verified(0, Head(), None), Counter(), [], [])
    with db.read() as connection:
        total = published.count(connection)
        found = found._replace(
            chain=verify(connection, noted, lambda number: progress.say("核对", "checked", number, total))
        )
        if found.chain.broken is not None or asked.recompute is False:
            return found
        if asked.recompute is None and span == Span():
            span = Span(from_us=published.newest(connection, NEWEST))
        rows = published.walk(connection, *span)
        for number, one in enumerate(recompute(indicators, rows), 1):
            progress.say("重算", "recomputed", number, None)
            found.counts[one.outcome] += 1
            listed = {Outcome.DIFFERS: found.differing, Outcome.EXPLAINED: found.explained}.get(one.outcome)
            if listed is not None and len(listed) < _MOST_IN_JSON:
                listed.append(one)
    return found


def plain(found: Found) -> dict[str, Any]:
    """What was found as JSON members."""
    broken = found.chain.broken
    return {
        "holds": found.holds,
        "values": found.chain.links,
        "head": shown(found.chain.head),
        "broken_at": None if broken is None else broken.number,
        "reason": None if broken is None else broken.reason,
        "reason_zh": None if broken is None else broken.reason_zh,
        "recomputed": {str(outcome): found.counts[outcome] for outcome in Outcome},
        "differing": [_plain(one) for one in found.differing],
        "explained": [_plain(one) for one in found.explained],
    }


def _plain(one: Recomputed) -> dict[str, Any]:
    return {
        "sequence": one.sequence,
        "name": one.name,
        "at": to_iso(one.at_us),
        "known_at": to_iso(one.known_us),
        "published": list(one.said),
        "recomputed": None if one.found is None else list(one.found),
        "reasons": [reason._asdict() for reason in one.reasons],
    }


def _lines(found: Found) -> Iterator[str]:
    if found.chain.broken is not None:
        return
    yield f"{found.chain.links} 个公布值成链完好 / {found.chain.links} published values hold"
    counts = found.counts
    if counts:
        same, explained = counts[Outcome.SAME], counts[Outcome.EXPLAINED]
        differing, missing = counts[Outcome.DIFFERS], counts[Outcome.NOT_RECORDED]
        yield (
            f"重算 {same + explained + differing} 个：{same} 个相同，{explained} 个不同但有原因，"
            f"{differing} 个不符；{missing} 个未记输入 / recomputed {same + explained + differing}: "
            f"{same} the same, {explained} explained, {differing} differ; {missing} without recorded inputs"
        )
    for one in found.explained[:_LISTED]:
        yield _line(one, "不同，因为", "differs because")
    yield from _more(found.counts[Outcome.EXPLAINED])
    yield shown(found.chain.head)


def _faults(found: Found) -> Iterator[str]:
    broken = found.chain.broken
    if broken is not None:
        yield (
            f"pulse: 公布值的链在第 {broken.number} 条断开：{broken.reason_zh} / the chain of published "
            f"values is broken at {broken.number}: {broken.reason}"
        )
    for one in found.differing[:_LISTED]:
        yield "pulse: " + _line(one, "不符：", "does not follow:")
    yield from _more(found.counts[Outcome.DIFFERS])


def _line(one: Recomputed, zh: str, en: str) -> str:
    said = "/".join(map(str, one.said))
    now = "" if one.found is None else " → " + "/".join(map(str, one.found))
    reasons_zh = "；".join(reason.zh for reason in one.reasons)
    reasons = "; ".join(reason.en for reason in one.reasons)
    which = f"第 {one.sequence} 条 / value {one.sequence}  {to_iso(one.at_us)}  {said}{now}"
    return f"{which}  {zh}{reasons_zh} / {en} {reasons}"


def _more(count: int) -> Iterator[str]:
    if count > _LISTED:
        yield f"… 共 {count} 个，全部见 --json / {count} in all, see --json"


def _span(asked: Asked) -> Span:
    span = Span(
        *(
            None if text is None else parse_time(text, option)
            for option, text in (("--from", asked.from_), ("--to", asked.to))
        )
    )
    if asked.recompute is False and span != Span():
        raise BadInput("与 --no-recompute 矛盾 / contradicts --no-recompute", where="--from / --to")
    if span.from_us is not None and span.to_us is not None and span.from_us >= span.to_us:
        raise BadInput("起始须早于结束 / has to be before --to", where="--from")
    return span


class _Progress:
    """Says every two seconds how far something has come, on standard error."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_s = clock.monotonic_s() + _PROGRESS_S

    def say(self, zh: str, en: str, number: int, total: int | None) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + _PROGRESS_S
        of = "" if total is None else f" / {total}"
        typer.echo(f"{zh} / {en}: {number}{of}", err=True)

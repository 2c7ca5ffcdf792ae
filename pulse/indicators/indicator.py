"""What an indicator is to those who publish it: a name, values to be worked out, and when they change."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection

from pulse.stores.base import IndicatorPoint
from pulse.stores.relational.events import NewEvent
from pulse.stores.relational.published import PublishedValue, Stored


class Drafted(NamedTuple):
    """A value of one moment; `next_us` is when it changes by the passing of time alone, None if never."""

    value: PublishedValue
    next_us: int | None = None


class Outcome(StrEnum):
    """What became of recomputing one value."""

    SAME = "same"
    EXPLAINED = "explained"
    """It differs, and the product knows of what it did itself that makes it differ."""
    DIFFERS = "differs"
    """Nothing that the product does makes it differ."""
    NOT_RECORDED = "not_recorded"
    """Nobody wrote down what it was worked out from."""


class Reason(NamedTuple):
    """What differs, or because of what; a slug, in English and in Chinese."""

    slug: str
    en: str
    zh: str


class Verdict(NamedTuple):
    """What recomputing a value gave; `found` are numerator and denominator now."""

    outcome: Outcome
    reasons: Sequence[Reason] = ()
    found: tuple[int, int] | None = None


class Indicator(Protocol):
    """An indicator whose values are published; safe to use from many threads."""

    @property
    def name(self) -> str:
        """The name under which its values stand in the chain."""
        ...

    def since(self, connection: Connection) -> int | None:
        """From when on there are values, None while there are none."""
        ...

    def drafted(self, at_us: int) -> Drafted:
        """The value of a moment, as known now."""
        ...

    def changes(
        self, connection: Connection, last: PublishedValue | None, behind_us: int, through_us: int
    ) -> list[int]:
        """When something happened behind `behind_us` that may have changed it, in order; at most a thousand.

        `last` is the newest value that is published.
        """
        ...

    def next_change(self, behind_us: int) -> int | None:
        """When the value worked out last changes by itself; at once if none was worked out, None if never."""
        ...

    def news(self, value: PublishedValue) -> list[NewEvent]:
        """What is told of a value that is other than the one before it."""
        ...

    def points(self, value: PublishedValue) -> list[IndicatorPoint]:
        """A value as the telemetry store keeps it: whole, and by community."""
        ...

    def judge(self, row: Stored, inputs: Mapping[str, Any]) -> Verdict:
        """Work a value out again from what is stored now, as known then."""
        ...


FIGURES = Reason("figures", "its figures do not follow from its inputs", "数值并非由其输入得出")
UNKNOWN_FORM = Reason(
    "form", "its inputs have a form that this program does not know", "输入的格式本程序不认识"
)
DECIDED_THEN = Reason(
    "decided_then",
    "somebody decided at that very time, which became visible a moment later",
    "恰在当时有人作了决定，稍后才可见",
)
DEFAULT_CHANGED = Reason(
    "default_timeout_changed",
    "the default timeout has been changed since: what came late after that was judged by the new one",
    "默认超时此后有更改：其后迟到的消息按新值判定",
)


def registry_changed(changes: int) -> Reason:
    """The registry is another one now."""
    return Reason(
        "registry_changed",
        f"the registry has been changed since ({changes} times; the audit log tells by whom)",
        f"登记册此后有更改（{changes} 次，由谁见审计日志）",
    )


def waited(messages: int) -> Reason:
    """Messages were known and not taken in."""
    return Reason(
        "late_messages",
        f"late messages waited for the telemetry store when it was published ({messages})",
        f"公布时有迟到的消息在等待遥测库（{messages} 条）",
    )

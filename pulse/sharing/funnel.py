"""The funnel (漏斗): collectable → collected → outbox → sent → acknowledged, and where it is stuck; pure.

By outlet and kind of data, over a period. A step that falls behind the one before it has a reason.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from pulse.clock import to_iso
from pulse.sharing.catalogue import DataKind
from pulse.sharing.outlets import Outlet
from pulse.sharing.receipts import Part

WAITING, ACKNOWLEDGED = "waiting", "acknowledged"


class Made(Protocol):
    """A delivery, as the funnel needs it."""

    @property
    def outlet(self) -> str: ...
    @property
    def parts(self) -> tuple[Part, ...]: ...
    @property
    def state(self) -> str: ...
    @property
    def sent_us(self) -> int | None: ...
    @property
    def acknowledged_us(self) -> int | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def next_us(self) -> int: ...
    @property
    def id(self) -> str: ...


class Collected(Protocol):
    """What was received of a kind in a community."""

    @property
    def data_kind(self) -> str: ...
    @property
    def community(self) -> str: ...
    @property
    def records(self) -> int: ...
    @property
    def last_us(self) -> int | None: ...


class Step(NamedTuple):
    """Records that came as far as this, the newest time of measurement among them, and up to when it was
    stated that nothing else happened; None where there is none.
    """

    records: int = 0
    newest_us: int | None = None
    quiet_until_us: int | None = None

    def plus(self, records: int, newest_us: int | None, quiet_until_us: int | None = None) -> "Step":
        """With more records."""
        return Step(
            self.records + records,
            _later(self.newest_us, newest_us),
            _later(self.quiet_until_us, quiet_until_us),
        )


class Stuck(NamedTuple):
    """Why a step falls behind: a slug, and in words."""

    reason: str
    zh: str
    en: str


class Row(NamedTuple):
    """One kind of data on its way to one outlet (`outlet` is "" where no outlet takes it)."""

    outlet: str
    data_kind: str
    collectable: bool
    collected: Step
    outbox: Step
    sent: Step
    acknowledged: Step
    acknowledged_us: int | None
    withheld: Mapping[str, int]
    stuck: Stuck | None


class State(NamedTuple):
    """How an outlet is: its key's fault (None: none), why nothing is made (a slug), what it withheld by
    `kind/reason` since it began, and the first delivery that waits.
    """

    key: str | None = None
    stuck: str | None = None
    withheld: Mapping[str, int] = {}
    first: Made | None = None


def rows(
    outlets: Iterable[Outlet],
    kinds: Mapping[str, DataKind],
    sources: Mapping[str, Collection[str]],
    collected: Iterable[Collected],
    made: Iterable[Made],
    states: Mapping[str, State],
    within: Collection[str] | None = None,
) -> list[Row]:
    """The funnel of every outlet and kind that it takes, then of kinds that none takes.

    `sources` has the kinds of device in service by community. `within` limits all to some communities.
    """
    gathered = list(collected)
    steps: dict[tuple[str, str], list[Step]] = {}
    when: dict[tuple[str, str], int | None] = {}
    for delivery in made:
        for part in delivery.parts:
            if within is None or part.community in within:
                _count(steps.setdefault((delivery.outlet, part.data_kind), [Step()] * 3), delivery, part)
                key = delivery.outlet, part.data_kind
                when[key] = _later(when.get(key), delivery.acknowledged_us)
    found, taken = [], set()
    for outlet in outlets:
        state = states.get(outlet.id, State())
        for kind in kinds.values():
            if outlet.data_kinds is not None and kind.id not in outlet.data_kinds:
                continue
            taken.add(kind.id)
            outbox, sent, acknowledged = steps.get((outlet.id, kind.id), [Step()] * 3)
            row = Row(
                outlet.id,
                kind.id,
                _collectable(kind, sources, within, outlet),
                _gathered(gathered, kind.id, within, outlet),
                outbox,
                sent,
                acknowledged,
                when.get((outlet.id, kind.id)),
                _withheld(state.withheld, kind.id),
                None,
            )
            found.append(row._replace(stuck=_stuck(row, outlet, kind, state)))
    for kind in kinds.values():
        if kind.id not in taken:
            step = _gathered(gathered, kind.id, within, None)
            collectable = _collectable(kind, sources, within, None)
            stuck = _NO_OUTLET if collectable else _NO_SOURCE
            found.append(Row("", kind.id, collectable, step, Step(), Step(), Step(), None, {}, stuck))
    return found


def _count(steps: list[Step], delivery: Made, part: Part) -> None:
    reached = 1 + (delivery.sent_us is not None) + (delivery.state == ACKNOWLEDGED)
    for position in range(reached):
        steps[position] = steps[position].plus(part.count, part.last_us, part.quiet_until_us)


def _gathered(
    collected: Iterable[Collected], kind: str, within: Collection[str] | None, outlet: Outlet | None
) -> Step:
    step = Step()
    for one in collected:
        own = within is None or one.community in within
        if own and one.data_kind == kind and (outlet is None or outlet.takes(kind, one.community)):
            step = step.plus(one.records, one.last_us)
    return step


def _collectable(
    kind: DataKind,
    sources: Mapping[str, Collection[str]],
    within: Collection[str] | None,
    outlet: Outlet | None,
) -> bool:
    return any(
        set(kind.sources) & set(devices)
        for community, devices in sources.items()
        if (within is None or community in within) and (outlet is None or outlet.takes(kind.id, community))
    )


def _withheld(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    return {name.partition("/")[2]: count for name, count in counts.items() if name.partition("/")[0] == kind}


def _stuck(row: Row, outlet: Outlet, kind: DataKind, state: State) -> Stuck | None:
    """The first thing that is in the way, from the source on."""
    if not row.collectable and not row.outbox.records:
        return _NO_SOURCE
    if outlet.disabled:
        return Stuck("disabled", "出口已停用", "the outlet is disabled")
    if state.key is not None:
        return Stuck("no_key", f"密钥不可用：{state.key}", f"its key cannot be used: {state.key}")
    first = state.first
    if first is not None and first.error is not None and row.acknowledged != row.outbox:
        return Stuck(
            "not_sent",
            f"{first.id} 未送达：{first.error}；{to_iso(first.next_us)} 再试",
            f"{first.id} did not arrive: {first.error}; next try at {to_iso(first.next_us)}",
        )
    if first is not None and outlet.mode == "pull" and row.acknowledged != row.outbox:
        if first.sent_us is None:
            return Stuck(
                "not_pulled", f"部门尚未取走 {first.id}", f"the department has not fetched {first.id}"
            )
        return Stuck(
            "not_committed", f"部门尚未提交 {first.id}", f"the department has not committed {first.id}"
        )
    if state.stuck is not None:
        return _NOT_MADE.get(state.stuck, Stuck(state.stuck, "没有生成交付", "no delivery is made"))
    if row.acknowledged != row.outbox:
        return Stuck("on_its_way", "正在送出", "on its way")
    if row.outbox.records or row.outbox.quiet_until_us is not None:
        return None
    return _nothing_made(row, outlet, kind)


def _nothing_made(row: Row, outlet: Outlet, kind: DataKind) -> Stuck:
    if row.collected.records and row.withheld:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(row.withheld.items()))
        return Stuck("withheld", f"已扣下不共享：{reasons}", f"withheld: {reasons}")
    if row.collected.records or kind.quiet:
        if outlet.immediate:
            return Stuck("not_made", "尚未生成交付", "no delivery was made yet")
        return Stuck("not_due", "未到出口的时间", "the outlet's time has not come")
    return Stuck("nothing_collected", "本期没有采集到记录", "nothing was collected in the period")


def _later(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


_NO_OUTLET = Stuck("no_outlet", "没有出口共享此种类", "no outlet takes this kind")
_NO_SOURCE = Stuck("no_source", "没有在用的设备能采集此种类", "no device in service can give it")
_NOT_MADE = {
    "full": Stuck(
        "full",
        "等待送出的太多（PULSE_OUTBOX_MAX_BYTES），暂不再生成；记录仍在库中",
        "too much waits (PULSE_OUTBOX_MAX_BYTES): no more is made; the records stay in the store",
    ),
    "masking_key": Stuck(
        "masking_key",
        "脱敏密钥 masking.key 不可用，未脱敏的内容不会送出",
        "masking.key cannot be used; nothing leaves unmasked",
    ),
}

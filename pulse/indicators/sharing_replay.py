"""The ratio of a file: catalogue, devices, states, receipts, questions (tests/sharing/vectors/README.md)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from pulse.clock import SECOND_US
from pulse.errors import BadInput
from pulse.indicators.sharing_present import compact, described
from pulse.ledger.answer import Stretch, in_service
from pulse.ledger.model import EVER, FOREVER, Device, State
from pulse.sharing import ratio
from pulse.sharing.catalogue import Catalogue, DataKind, Version
from pulse.sharing.receipts import Acknowledged, Part

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_MOST_SECONDS = Decimal(10) ** 12


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class KindVersion(_Form, frozen=True):
    """What was said of a kind: it holds from `since` on and is known from `recorded` on (`since`)."""

    id: _Id
    since: Decimal
    sources: tuple[_Id, ...] = ()
    freshness_s: Decimal = Decimal(86_400)
    quiet: bool = False
    recorded: Decimal | None = None
    out: bool = False


class Member(_Form, frozen=True):
    """A device; when it is commissioned and retired is known since ever unless it says otherwise."""

    id: _Id
    community: _Id
    kind: _Id
    commissioned: Decimal
    retired: Decimal | None = None
    commissioned_recorded: Decimal | None = None
    retired_recorded: Decimal | None = None


class Stay(_Form, frozen=True):
    """A device's state in `[from, to)`, as the ledger gives it; where nothing is said it is unknown."""

    device: _Id
    from_: Decimal = msgspec.field(name="from")
    to: Decimal
    state: str


class Said(_Form, frozen=True):
    """A part of a receipt; `quiet` is `[from, to]`."""

    data_kind: _Id
    community: _Id
    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    first: Decimal | None = None
    last: Decimal | None = None
    quiet: tuple[Decimal, Decimal] | None = None


class Taken(_Form, frozen=True):
    """A receipt, numbered by its place in the list; known from `recorded` on (when acknowledged)."""

    outlet: _Id
    delivery: _Id
    acknowledged: Decimal
    parts: tuple[Said, ...]
    recorded: Decimal | None = None


class Attempt(_Form, frozen=True):
    """Something that was sent and gave no receipt; it is told for people, and changes nothing."""

    outlet: _Id
    delivery: _Id
    at: Decimal
    answer: str


class Question(_Form, frozen=True):
    """An instant, and what is to be known of it (everything); `expected` is what a test holds it to."""

    at: Decimal
    known_at: Decimal | None = None
    why: str = ""
    expected: dict[str, Any] | None = None


class Scenario(_Form, frozen=True):
    """A file."""

    catalogue: tuple[KindVersion, ...]
    devices: tuple[Member, ...]
    questions: tuple[Question, ...]
    states: tuple[Stay, ...] = ()
    receipts: tuple[Taken, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    why: str = ""


def replay(raw: bytes) -> list[dict[str, Any]]:
    """An answer to every question. Raises `BadInput` naming the place."""
    try:
        scenario = msgspec.json.decode(raw, type=Scenario)
    except msgspec.DecodeError as error:
        raise BadInput(str(error)) from None
    return [told(scenario, question) for question in scenario.questions]


def told(scenario: Scenario, question: Question) -> dict[str, Any]:
    """One answer: numerator, denominator, unknown, percentages, and state and reason of every kind."""
    at_us = _us(question.at)
    known_us = FOREVER - 1 if question.known_at is None else _us(question.known_at)
    if at_us > known_us:
        raise BadInput("lies before the moment that is asked about", where="known_at")
    found = answered(scenario, at_us, known_us)
    kept = compact(found)
    return {**_shown(kept["all"]), "by_community": {n: _shown(p) for n, p in kept["by_community"].items()}}


def answered(scenario: Scenario, at_us: int, known_us: int) -> ratio.Answer:
    """The ratio at an instant, as known."""
    catalogue = Catalogue(_versions(scenario.catalogue))
    devices = [_device(member) for member in scenario.devices]
    whole = at_us, at_us + 1
    serving = [d for d in devices if in_service(d, *whole, known_us) == whole]
    having: dict[str, set[str]] = {}
    for device in serving:
        having.setdefault(device.kind, set()).add(device.community)
    kinds = catalogue.in_force(at_us, known_us)
    parts: dict[str, list[Acknowledged]] = {}
    for one in _acknowledged(scenario.receipts):
        if one.recorded_us <= known_us:
            parts.setdefault(one.part.data_kind, []).append(one)
    communities = {device.community for device in devices}
    watch = _Watch(serving, scenario.states, parts, at_us)
    return ratio.answer(kinds, parts, having, communities, watch, at_us)


class _Watch:
    def __init__(
        self,
        serving: Sequence[Device],
        stays: Iterable[Stay],
        parts: Mapping[str, Sequence[Acknowledged]],
        at_us: int,
    ) -> None:
        self._serving = serving
        self._parts = parts
        self._at_us = at_us
        self._states: dict[str, list[Stretch]] = {}
        for stay in sorted(stays, key=lambda stay: stay.from_):
            own = self._states.setdefault(stay.device, [])
            stretch = Stretch(_us(stay.from_), _us(stay.to), _state(stay.state))
            _fill(own, stretch.start)
            if stretch.start < own[-1].end:
                raise BadInput("overlaps what was said before", where=f"states of {stay.device}")
            own.append(stretch)

    def statements(self, kind: DataKind, community: str) -> Iterable[Acknowledged]:
        after_us = self._at_us - kind.freshness_us
        stated = [
            one
            for one in self._parts.get(kind.id, ())
            if one.part.community == community
            and one.part.quiet_until_us is not None
            and after_us < one.acknowledged_us <= self._at_us
        ]
        return sorted(stated, key=lambda one: (one.acknowledged_us, one.number), reverse=True)

    def sources(self, kind: DataKind, community: str) -> Sequence[str]:
        return [d.id for d in self._serving if d.community == community and d.kind in kind.sources]

    def states(self, device: str) -> Sequence[Stretch]:
        own = list(self._states.get(device, ()))
        _fill(own, FOREVER)
        return own


def _fill(own: list[Stretch], until: int) -> None:
    """What nothing is said of is unknown."""
    begin = own[-1].end if own else EVER
    if begin < until:
        own.append(Stretch(begin, until, State.UNKNOWN))


def _state(slug: str) -> State:
    try:
        return State[slug.upper()]
    except KeyError:
        raise BadInput(f"{slug!r} is no state", where="states") from None


def _versions(said: Iterable[KindVersion]) -> Iterator[Version]:
    for one in said:
        kind = DataKind(
            id=one.id,
            name_zh="",
            name_en="",
            sources=one.sources,
            schema={},
            freshness_s=float(one.freshness_s),
            quiet=one.quiet,
        )
        since_us = _us(one.since)
        recorded_us = since_us if one.recorded is None else _us(one.recorded)
        yield Version(one.id, since_us, recorded_us, None if one.out else kind)


def _device(member: Member) -> Device:
    return Device(
        member.id,
        member.community,
        member.kind,
        (),
        _us(member.commissioned),
        None if member.retired is None else _us(member.retired),
        EVER if member.commissioned_recorded is None else _us(member.commissioned_recorded),
        EVER if member.retired_recorded is None else _us(member.retired_recorded),
    )


def _acknowledged(receipts: Iterable[Taken]) -> Iterator[Acknowledged]:
    for number, one in enumerate(receipts, 1):
        at_us = _us(one.acknowledged)
        recorded_us = at_us if one.recorded is None else _us(one.recorded)
        for said in one.parts:
            part = Part(
                data_kind=said.data_kind,
                community=said.community,
                count=said.count,
                first_us=None if said.first is None else _us(said.first),
                last_us=None if said.last is None else _us(said.last),
                quiet_from_us=None if said.quiet is None else _us(said.quiet[0]),
                quiet_until_us=None if said.quiet is None else _us(said.quiet[1]),
            )
            yield Acknowledged(number, one.outlet, at_us, recorded_us, part, one.delivery)


def _shown(part: dict[str, Any]) -> dict[str, Any]:
    figures = described(part["shared"], part["unknown"], part["collectable"])
    return {
        "ratio": [part["shared"], part["collectable"]],
        "unknown": part["unknown"],
        "percent": figures["percent"],
        "percent_upper": figures["percent_upper"],
        "kinds": part["kinds"],
    }


def _us(seconds: Decimal) -> int:
    """Microseconds of seconds. Raises `BadInput` for what is no whole number of them."""
    if not seconds.is_finite() or abs(seconds) > _MOST_SECONDS or (seconds * SECOND_US) % 1:
        raise BadInput(f"{seconds} is no time in seconds with at most six decimals")
    return int(seconds * SECOND_US)

"""数据贡献比例: kinds of data shared over kinds that can be collected, at an instant, as known; pure.

At instant s, as known at k, with F the freshness of a kind in the catalogue then:

- *collectable* in a community: a device of one of its source kinds is in service there.
- *shared* in it: some receipt known at k, acknowledged in (s − F, s], is of a delivery with records of the
  kind from there, the last of them measured in (s − F, s]; or, of a kind that may be quiet, states that
  nothing happened there in [a, b) with a < b and b in (s − F, s], and one source device of the community, in
  service at s, was online through all of it that lies in the window, [max(a, s − F), b).
- *unknown* in it: not shared, but it would be if states of such a device that nobody knows were online.

Of several communities together it is collectable, shared or unknown if it is in one of them; so the answer
for any of them follows from what each is alone.

What is acknowledged counts for one interval of s, [from, until), and an answer looks up which ones hold s.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from pulse.ledger.answer import Stretch
from pulse.ledger.model import State
from pulse.sharing.catalogue import DataKind
from pulse.sharing.receipts import Acknowledged, Part


class KindState(StrEnum):
    """What becomes of a kind in the ratio."""

    SHARED = "shared"
    NOT_SHARED = "not_shared"
    UNKNOWN = "unknown"
    NOT_COLLECTABLE = "not_collectable"


class Why(StrEnum):
    """Why a kind is in its state; in ascending order of how near it comes to being shared."""

    NO_DEVICE = "no_device_in_service"
    """Not collectable: no device of a source kind is in service."""
    NEVER = "never_acknowledged"
    """No department ever acknowledged any of it."""
    ACKNOWLEDGED_TOO_OLD = "acknowledged_too_old"
    """The last acknowledgement is older than the freshness."""
    NOTHING_COUNTS = "nothing_counts"
    """What was acknowledged has no records, and no statement that this kind may make."""
    TIME_UNKNOWN = "time_unknown"
    """Of no record that was acknowledged the time is known."""
    STATEMENT_TOO_OLD = "statement_too_old"
    """What is stated of quiet ends before the window."""
    RECORDS_TOO_OLD = "records_too_old"
    """Acknowledged lately, measured long ago: old records delivered again."""
    SOURCE_OFFLINE = "source_offline"
    """It is stated that nothing happened, and no source device was online all the while."""
    SOURCE_UNKNOWN = "source_unknown"
    """The same, but whether one was is not known."""
    QUIET = "quiet_acknowledged"
    """Shared: nothing happened, a source device was online, and that is acknowledged."""
    RECORDS = "records_acknowledged"
    """Shared: records are acknowledged."""


_RANK = {why: number for number, why in enumerate(Why)}
_ONLINE = frozenset({State.ONLINE})
_PERHAPS_ONLINE = frozenset({State.ONLINE, State.UNKNOWN})


class Watch(Protocol):
    """What is only read where no records count: statements, and the devices that would have noticed."""

    def statements(self, kind: DataKind, community: str) -> Iterable[Acknowledged]:
        """What is known to state quiet and was acknowledged within the window, the newest first."""
        ...

    def sources(self, kind: DataKind, community: str) -> Sequence[str]:
        """The devices of its source kinds in that community that are in service at the instant."""
        ...

    def states(self, device: str) -> Sequence[Stretch]:
        """Its states (of the ledger, maintenance and life cycle laid over) through the window, in order."""
        ...


class Counting(NamedTuple):
    """Something acknowledged counts at every instant of `[from_us, until_us)`; perhaps, if `why` says so."""

    from_us: int
    until_us: int
    why: Why
    one: Acknowledged


class Standing(NamedTuple):
    """What is acknowledged of a kind that can be collected.

    `receipt` is what counts, else what was acknowledged last; it counts, or counted, until `expires_us`
    (None: it never did). `next_us` is when this may become otherwise by the passing of time alone.
    """

    why: Why
    receipt: Acknowledged | None = None
    expires_us: int | None = None
    next_us: int | None = None


class Judged(NamedTuple):
    """A kind at the instant."""

    kind: DataKind
    state: KindState
    why: Why
    receipt: Acknowledged | None
    expires_us: int | None


class Ratio(NamedTuple):
    """Every kind of the catalogue, in order of id."""

    kinds: tuple[Judged, ...]

    def count(self, *states: KindState) -> int:
        """How many kinds are in one of the states."""
        return sum(one.state in states for one in self.kinds)

    @property
    def shared(self) -> int:
        """The numerator."""
        return self.count(KindState.SHARED)

    @property
    def unknown(self) -> int:
        """Kinds of which nobody can say."""
        return self.count(KindState.UNKNOWN)

    @property
    def collectable(self) -> int:
        """The denominator."""
        return len(self.kinds) - self.count(KindState.NOT_COLLECTABLE)


class Answer(NamedTuple):
    """The ratio of all communities that were asked about, and of each alone.

    `next_us` is when it may become otherwise by the passing of time alone, None if never.
    """

    whole: Ratio
    by_community: dict[str, Ratio]
    next_us: int | None


def answer(
    kinds: Mapping[str, DataKind],
    acknowledged: Mapping[str, Iterable[Acknowledged]],
    serving: Mapping[str, Collection[str]],
    communities: Iterable[str],
    watch: Watch,
    at_us: int,
) -> Answer:
    """The ratio at an instant.

    `kinds` are those in force, `acknowledged` what is known of each (`watch` has the statements of quiet),
    `serving` the communities in which a device of a kind is in service. Only what belongs to `communities`
    counts.
    """
    wanted = sorted(set(communities))
    whole: list[Judged] = []
    by_community: dict[str, list[Judged]] = {name: [] for name in wanted}
    edges: list[int] = []
    for name, kind in sorted(kinds.items()):
        parts: dict[str, list[Acknowledged]] = {}
        for one in acknowledged.get(name, ()):
            parts.setdefault(one.part.community, []).append(one)
        having = {community for source in kind.sources for community in serving.get(source, ())}
        standings = []
        for community in wanted:
            found = None
            if community in having:
                found = standing(kind, community, parts.get(community, ()), watch, at_us)
                standings.append(found)
            by_community[community].append(judged(kind, found))
        whole.append(judged(kind, joined(standings) if standings else None))
        edges += [one.next_us for one in standings if one.next_us is not None]
    return Answer(
        Ratio(tuple(whole)),
        {name: Ratio(tuple(own)) for name, own in by_community.items()},
        min(edges, default=None),
    )


def judged(kind: DataKind, found: Standing | None) -> Judged:
    """What a kind is, of which that is acknowledged; None: it cannot be collected."""
    if found is None:
        return Judged(kind, KindState.NOT_COLLECTABLE, Why.NO_DEVICE, None, None)
    return Judged(kind, state_of(found.why), found.why, found.receipt, found.expires_us)


def state_of(why: Why) -> KindState:
    """The state that a reason stands for."""
    if why in {Why.RECORDS, Why.QUIET}:
        return KindState.SHARED
    if why is Why.NO_DEVICE:
        return KindState.NOT_COLLECTABLE
    return KindState.UNKNOWN if why is Why.SOURCE_UNKNOWN else KindState.NOT_SHARED


def nearest(whys: Iterable[Why]) -> Why:
    """The one that comes nearest to being shared: of a kind in communities of which each is one of these."""
    return max(whys, key=_RANK.__getitem__, default=Why.NO_DEVICE)


def joined(standings: Iterable[Standing]) -> Standing:
    """What is acknowledged of several communities together: what comes nearest to being shared."""
    every = list(standings)
    best = max(every, key=_weight, default=Standing(Why.NEVER))
    return best._replace(next_us=min((s.next_us for s in every if s.next_us is not None), default=None))


def standing(
    kind: DataKind, community: str, acknowledged: Iterable[Acknowledged], watch: Watch, at_us: int
) -> Standing:
    """What is acknowledged of a kind in one community at an instant.

    Statements are looked at where no records count, from the newest back to one that does.
    """
    known = [one for one in acknowledged if one.acknowledged_us <= at_us]
    counting = [found for one in known if (found := of_records(kind, one)) is not None]
    holding = [found for found in counting if found.from_us <= at_us < found.until_us]
    if not holding and kind.quiet:
        for one in watch.statements(kind, community):
            known.append(one)
            quiet = list(of_statement(kind, one, watch, at_us))
            counting += quiet
            holding += [found for found in quiet if found.from_us <= at_us < found.until_us]
            if any(found.why is Why.QUIET for found in holding):
                break
    if not known:
        return Standing(Why.NEVER)
    if holding:
        best = max(holding, key=lambda f: (_RANK[f.why], f.until_us, *_newest(f.one)))
        if state_of(best.why) is KindState.SHARED:
            return Standing(best.why, best.one, best.until_us, best.until_us)
        return Standing(best.why, best.one, best.until_us, _next(kind, known, counting, at_us))
    last = max(known, key=_newest)
    whys = [_refused(kind, one, at_us) for one in known]
    expired = max((found.until_us for found in counting if found.one is last), default=None)
    return Standing(max(whys, key=_RANK.__getitem__), last, expired, _next(kind, known, counting, at_us))


def of_records(kind: DataKind, one: Acknowledged) -> Counting | None:
    """While its records count, None where no time of theirs is known."""
    last_us = one.part.last_us
    if last_us is None or not one.part.count:
        return None
    return Counting(
        max(one.acknowledged_us, last_us),
        min(one.acknowledged_us, last_us) + kind.freshness_us,
        Why.RECORDS,
        one,
    )


def of_statement(kind: DataKind, one: Acknowledged, watch: Watch, at_us: int) -> Iterator[Counting]:
    """While its statement that nothing happened counts, for sure and perhaps; nothing where there is none.

    It does from when no device's last stretch of another state lies within the statement and the window.
    """
    a, b = one.part.quiet_from_us, one.part.quiet_until_us
    if a is None or b is None or a >= b:
        return
    freshness = kind.freshness_us
    from_us, until_us = max(one.acknowledged_us, b), min(one.acknowledged_us, b) + freshness
    if not from_us <= at_us < until_us:
        return
    timelines = [watch.states(device) for device in watch.sources(kind, one.part.community)]
    for why, accepted in ((Why.QUIET, _ONLINE), (Why.SOURCE_UNKNOWN, _PERHAPS_ONLINE)):
        left = [_left(timeline, b, accepted) for timeline in timelines]
        begins = [from_us if end is None or end <= a else max(from_us, end + freshness) for end in left]
        begin_us = min(begins, default=until_us)
        if begin_us < until_us:
            yield Counting(begin_us, until_us, why, one)


def _left(timeline: Sequence[Stretch], before_us: int, accepted: frozenset[State]) -> int | None:
    """When the last stretch of another state ended that began before that, at most then; None without one."""
    for stretch in reversed(timeline):
        if stretch.start < before_us and stretch.state not in accepted:
            return min(stretch.end, before_us)
    return None


def _refused(kind: DataKind, one: Acknowledged, at_us: int) -> Why:
    """Why something acknowledged by then does not count."""
    after_us, part = at_us - kind.freshness_us, one.part
    if one.acknowledged_us <= after_us:
        return Why.ACKNOWLEDGED_TOO_OLD
    whys = [Why.NOTHING_COUNTS]
    if part.count:
        whys.append(Why.TIME_UNKNOWN if part.last_us is None else Why.RECORDS_TOO_OLD)
    if kind.quiet and _states_quiet(part) and part.quiet_until_us is not None:
        whys.append(Why.STATEMENT_TOO_OLD if part.quiet_until_us <= after_us else Why.SOURCE_OFFLINE)
    return max(whys, key=_RANK.__getitem__)


def _states_quiet(part: Part) -> bool:
    return (
        part.quiet_from_us is not None
        and part.quiet_until_us is not None
        and part.quiet_from_us < part.quiet_until_us
    )


def _next(
    kind: DataKind, known: Iterable[Acknowledged], counting: Iterable[Counting], at_us: int
) -> int | None:
    """The first edge after the instant of anything that is looked at."""
    edges = [edge for found in counting for edge in (found.from_us, found.until_us)]
    for one in known:
        times = (one.acknowledged_us, one.part.last_us, one.part.quiet_until_us)
        edges += [time + kind.freshness_us for time in times if time is not None]
    return min((edge for edge in edges if edge > at_us), default=None)


def _newest(one: Acknowledged) -> tuple[int, int]:
    return one.acknowledged_us, one.number


def _weight(found: Standing) -> tuple[int, int, int, int]:
    newest = (0, 0) if found.receipt is None else _newest(found.receipt)
    return _RANK[found.why], found.expires_us or 0, *newest

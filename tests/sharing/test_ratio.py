"""The ratio: looked up by intervals, it is what its definition says at every instant."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pulse.ledger.answer import Stretch
from pulse.ledger.model import State
from pulse.sharing import ratio
from pulse.sharing.catalogue import DataKind
from pulse.sharing.ratio import KindState, Standing, Why
from pulse.sharing.receipts import Acknowledged, Part

END = 40
COMMUNITIES = ("a", "b")
TIMES = st.integers(0, END)


def kind(freshness: int, *, quiet: bool, name: str = "k", sources: tuple[str, ...] = ("s",)) -> DataKind:
    """A kind whose freshness is so many microseconds."""
    return DataKind(
        id=name,
        name_zh="",
        name_en="",
        sources=sources,
        schema={},
        freshness_s=freshness / 1e6,
        quiet=quiet,
    )


class World(NamedTuple):
    """Devices in service by id, with their community, and a state for every instant."""

    kind: DataKind
    parts: tuple[Acknowledged, ...]
    devices: dict[str, str]
    states: dict[str, tuple[State, ...]]

    def sources(self, kind: DataKind, community: str) -> Sequence[str]:
        return [device for device, own in self.devices.items() if own == community]

    def states_of(self, device: str) -> tuple[State, ...]:
        return self.states[device]


class Watching(NamedTuple):
    """A world as the ratio sees it, from `from_us` on."""

    world: World
    from_us: int
    to_us: int
    known: int

    def statements(self, kind: DataKind, community: str) -> Sequence[Acknowledged]:
        found = [
            one
            for one in self.world.parts
            if one.recorded_us <= self.known
            and one.part.community == community
            and self.from_us < one.acknowledged_us < self.to_us
        ]
        return sorted(found, key=lambda one: (one.acknowledged_us, one.number), reverse=True)

    def sources(self, kind: DataKind, community: str) -> Sequence[str]:
        return self.world.sources(kind, community)

    def states(self, device: str) -> Sequence[Stretch]:
        found: list[Stretch] = []
        for at in range(self.from_us, self.to_us):
            state = self.world.states[device][at] if at >= 0 else State.UNKNOWN
            if found and found[-1].state is state:
                found[-1] = found[-1]._replace(end=at + 1)
            else:
                found.append(Stretch(at, at + 1, state))
        return found


@st.composite
def parts(draw: st.DrawFn) -> Acknowledged:
    at = draw(TIMES)
    last = draw(st.none() | st.integers(0, at))
    stated = draw(st.none() | st.tuples(st.integers(0, at), st.integers(0, at)))
    return Acknowledged(
        draw(st.integers(1, 99)),
        draw(st.sampled_from(["police", "fire"])),
        at,
        at + draw(st.integers(0, 10)),
        Part(
            data_kind="k",
            community=draw(st.sampled_from(COMMUNITIES)),
            count=draw(st.integers(0, 3)),
            first_us=None if last is None else draw(st.integers(0, last)),
            last_us=last,
            quiet_from_us=None if stated is None else stated[0],
            quiet_until_us=None if stated is None else stated[1],
        ),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    devices = draw(st.dictionaries(st.sampled_from(["d1", "d2", "d3"]), st.sampled_from(COMMUNITIES)))
    some = st.sampled_from([State.ONLINE] * 12 + [State.UNKNOWN, State.OFFLINE, State.FAULT, State.EXCLUDED])
    states = {device: tuple(draw(st.lists(some, min_size=END + 1, max_size=END + 1))) for device in devices}
    return World(
        kind(draw(st.integers(1, 15)), quiet=draw(st.booleans())),
        tuple(draw(st.lists(parts(), max_size=5))),
        devices,
        states,
    )


def by_definition(world: World, communities: Sequence[str], at: int, known: int) -> KindState:
    """The words of pulse/sharing/ratio.py, instant by instant."""
    own = {device: c for device, c in world.devices.items() if c in communities}
    if not own:
        return KindState.NOT_COLLECTABLE
    after = at - world.kind.freshness_us
    perhaps = False
    for one in world.parts:
        part = one.part
        if part.community not in own.values() or one.recorded_us > known:
            continue
        if not after < one.acknowledged_us <= at:
            continue
        if part.count and part.last_us is not None and after < part.last_us <= at:
            return KindState.SHARED
        a, b = part.quiet_from_us, part.quiet_until_us
        if not world.kind.quiet or a is None or b is None or a >= b or not after < b <= at:
            continue
        for device, community in own.items():
            if community == part.community:
                states = {
                    world.states[device][t] if t >= 0 else State.UNKNOWN for t in range(max(a, after), b)
                }
                if states == {State.ONLINE}:
                    return KindState.SHARED
                perhaps = perhaps or states <= {State.ONLINE, State.UNKNOWN}
    return KindState.UNKNOWN if perhaps else KindState.NOT_SHARED


def asked(world: World, at: int, known: int, communities: Sequence[str] = COMMUNITIES) -> ratio.Answer:
    acknowledged = {"k": [one for one in world.parts if one.recorded_us <= known]}
    watch = Watching(world, at - world.kind.freshness_us, at + 1, known)
    serving = {"s": set(world.devices.values())}
    return ratio.answer({"k": world.kind}, acknowledged, serving, communities, watch, at)


@settings(max_examples=400)
@given(worlds(), st.integers(0, END))
def test_at_every_instant_it_is_what_the_definition_says(world: World, late: int) -> None:
    for at in range(END + 1):
        known = min(at + late, END + 20)
        found = asked(world, at, known)
        assert found.whole.kinds[0].state is by_definition(world, COMMUNITIES, at, known), at
        for name in COMMUNITIES:
            expected = by_definition(world, [name], at, known)
            assert found.by_community[name].kinds[0].state is ratio.state_of(
                found.by_community[name].kinds[0].why
            )
            assert found.by_community[name].kinds[0].state is expected, (name, at)
            assert asked(world, at, known, [name]).whole == found.by_community[name]


@settings(max_examples=200)
@given(worlds(), st.integers(0, END))
def test_what_each_community_is_says_what_they_are_together(world: World, at: int) -> None:
    found = asked(world, at, 2 * END)
    assert found.whole.kinds[0].why is ratio.nearest(own.kinds[0].why for own in found.by_community.values())


@settings(max_examples=300)
@given(worlds())
def test_until_the_next_edge_nothing_changes_by_itself(world: World) -> None:
    known = 2 * END
    for at in range(END):
        found = asked(world, at, known)
        until = END if found.next_us is None else min(found.next_us, END)
        assert found.next_us is None or found.next_us > at
        news = [one.acknowledged_us for one in world.parts if one.acknowledged_us > at]
        for later in range(at + 1, min([until, *news])):
            same = asked(world, later, known)
            states = [(one.state, one.why) for one in found.whole.kinds]
            assert [(one.state, one.why) for one in same.whole.kinds] == states, (at, later)


@settings(max_examples=200)
@given(worlds())
def test_what_is_shared_names_the_receipt_that_makes_it_so(world: World) -> None:
    for at in range(0, END + 1, 3):
        (one,) = asked(world, at, 2 * END).whole.kinds
        if one.state is KindState.SHARED:
            assert one.receipt is not None
            assert one.expires_us is not None
            alone = world._replace(parts=(one.receipt,))
            assert alone.parts[0].part.community in world.devices.values()
            assert by_definition(alone, COMMUNITIES, min(one.expires_us - 1, END), 2 * END) in (
                KindState.SHARED,
                *([] if one.expires_us - 1 <= END else [KindState.NOT_SHARED]),
            )
        else:
            assert (one.receipt is None) == (one.why is Why.NEVER) or one.state is KindState.NOT_COLLECTABLE


def test_of_several_communities_the_nearest_to_being_shared_speaks_for_all() -> None:
    far, near = Standing(Why.NEVER), Standing(Why.RECORDS_TOO_OLD, next_us=7)
    assert ratio.joined([far, near]).why is Why.RECORDS_TOO_OLD
    assert ratio.joined([near, far]).next_us == 7
    assert ratio.nearest([Why.NO_DEVICE, Why.NEVER]) is Why.NEVER
    assert ratio.nearest([]) is Why.NO_DEVICE

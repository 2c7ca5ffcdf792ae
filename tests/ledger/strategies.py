"""Random small worlds for the ledger: few devices, few instants, every kind of message and entry."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Evidence, Maintenance, Scope, Terms
from pulse.ledger.replay import Books
from pulse.messages import Channel, Message

HORIZON = 60
instants = st.integers(0, HORIZON)
FEW = (1, 1, 1, 2)
"""How many devices there are, each as likely."""


class World(NamedTuple):
    """Books and the messages of a history, in order of reception."""

    books: Books
    messages: list[Message]

    def heard(self) -> list[tuple[int, Heard]]:
        position = {d.id: i for i, d in enumerate(self.books.devices)}
        return [(position[m.device], as_heard(m)) for m in self.messages]

    def evidence(self, device: Device) -> list[Piece]:
        return [
            piece
            for m in self.messages
            if m.device == device.id
            for piece in pieces(device, as_heard(m), self.books.backlog_lateness)
        ]


def as_heard(m: Message) -> Heard:
    return Heard(m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order)


scopes = st.builds(
    Scope,
    device=st.none() | st.sampled_from(["d0", "d1"]),
    kind=st.none() | st.sampled_from(["camera", "lock"]),
    community=st.none() | st.sampled_from(["a", "b"]),
)


@st.composite
def terms(draw: st.DrawFn, *, changing: bool) -> tuple[Terms, ...]:
    def one(since: int) -> Terms:
        return Terms(
            since,
            draw(st.integers(2, 10)),
            draw(st.sampled_from([0, 8, 40])),
            draw(st.sampled_from([False, False, False, True])),
        )

    later = draw(st.lists(instants, max_size=2, unique=True)) if changing else []
    return (one(EVER), *(one(since) for since in sorted(later)))


@st.composite
def devices(draw: st.DrawFn, *, changing: bool, numbers: Sequence[int] = FEW) -> list[Device]:
    return [
        Device(
            f"d{i}",
            draw(st.sampled_from(["a", "b"])),
            draw(st.sampled_from(["camera", "lock"])),
            draw(terms(changing=changing)),
            draw(st.sampled_from([EVER, EVER, 0, 10])),
            draw(st.none() | st.none() | instants),
            draw(st.sampled_from([EVER, EVER, 20])),
            draw(st.sampled_from([EVER, EVER, 80])),
        )
        for i in range(draw(st.sampled_from(numbers)))
    ]


@st.composite
def blinds(draw: st.DrawFn) -> list[Blind]:
    entries = []
    for _ in range(draw(st.integers(0, 3))):
        start = draw(instants)
        end = draw(st.just(FOREVER) | st.integers(start, HORIZON))
        recorded = draw(st.integers(start, HORIZON))
        revoked = draw(st.just(FOREVER) | st.integers(recorded, HORIZON))
        entries.append(Blind(start, end, recorded, revoked, draw(scopes), "test"))
    return entries


@st.composite
def windows(draw: st.DrawFn) -> list[Maintenance]:
    entries = []
    for _ in range(draw(st.integers(0, 2))):
        start = draw(instants)
        recorded = draw(instants)
        cancelled = draw(st.just(FOREVER) | st.integers(recorded, HORIZON))
        entries.append(
            Maintenance(start, draw(st.integers(start, HORIZON)), recorded, cancelled, draw(scopes))
        )
    return entries


@st.composite
def message_lists(draw: st.DrawFn, ids: list[str], *, size: int = 14) -> list[Message]:
    found = []
    for order in range(draw(st.integers(0, size))):
        observed = draw(instants)
        measured = draw(st.none() | st.integers(max(observed - 30, 0), observed + 5))
        found.append(
            Message(
                draw(st.sampled_from(ids)),
                "a",
                "camera",
                draw(st.sampled_from([Evidence.BEAT, Evidence.BEAT, Evidence.FAULT, Evidence.OFFLINE])),
                Channel.HEARTBEAT,
                observed,
                measured,
                draw(st.sampled_from([False] * 7 + [True])),
                draw(st.sampled_from([False] * 2 + [True])),
                order,
                order=order,
            )
        )
    return found


@st.composite
def worlds(draw: st.DrawFn, *, changing: bool = True, size: int = 14, numbers: Sequence[int] = FEW) -> World:
    fleet = draw(devices(changing=changing, numbers=numbers))
    books = Books(
        fleet,
        draw(st.sampled_from([0, 0, 7, 30])),
        draw(blinds()),
        draw(windows()),
        draw(st.sampled_from([0, 20, 60, 60])),
    )
    return World(books, draw(message_lists([d.id for d in fleet], size=size)))

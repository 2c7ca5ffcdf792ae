"""The contract of telemetry stores. Every back end passes tests/contracts/test_telemetry_store.py."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from pulse.messages import Message, Record


class TransitionPoint(NamedTuple):
    """A change of a device's state, as shown to people; states are slugs (`online`, `offline`, …)."""

    device: str
    community: str
    kind: str
    at_us: int
    recorded_us: int
    before: str
    after: str
    cause: str


class IndicatorPoint(NamedTuple):
    """One value of an indicator. `community` is "" for the whole installation.

    `lower` and `upper` are fractions of 1 (None without a denominator); they differ while a state is unknown.
    """

    name: str
    community: str
    at_us: int
    numerator: int
    denominator: int
    lower: float | None
    upper: float | None
    states: Mapping[str, int]


class Collected(NamedTuple):
    """Records of one kind of data and community that were received in a stretch of time.

    `first_us` and `last_us` are the least and greatest `at_us` among them, None if none has any.
    """

    data_kind: str
    community: str
    records: int
    first_us: int | None
    last_us: int | None


class Written(NamedTuple):
    """What came of a write: `stored` are in the store now, `refused` (position, reason) never will be.

    Of those stored, `known` were there before.
    """

    stored: int
    refused: tuple[tuple[int, str], ...] = ()
    known: int = 0


class TelemetryStore(Protocol):
    """Raw messages, records, transitions and indicator values.

    Calls block; every method may be called from any thread. Times are microseconds since 1970 UTC.
    `StoreUnavailable` means that the same call may succeed later and that nothing was lost;
    `StoreRejected` that it never will.
    """

    def open(self) -> None:
        """Make ready: create what is missing (tables; bucket and retention). Idempotent."""
        ...

    def write_messages(self, messages: Sequence[Message]) -> Written:
        """Store messages durably (they are in the store when this returns).

        The same message again (same device, identity and measured time; `sameness` has the whole rule)
        changes nothing: the first observation wins. Two different messages of one device at one time are
        both kept. A message that the store will never take is reported in `refused`; it does not hold up
        the others.
        """
        ...

    def seen(self, messages: Sequence[Message]) -> list[bool]:
        """For each message, whether the same one (see `write_messages`) is stored already."""
        ...

    def read_messages(
        self,
        from_us: int,
        to_us: int,
        *,
        device: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[Message]:
        """Messages with `from_us <= observed_us < to_us` in order of (`observed_us`, `order`).

        Every member comes back as it was written, status messages and last wills included (but metrics
        `{}` come back as None). `newest_first` turns the order around; `limit` caps the number.
        """
        ...

    def read_measured(self, device: str, from_us: int, to_us: int) -> list[Message]:
        """Messages of one device whose reception or measured time lies in `[from_us, to_us)`, by `order`.

        One measured more than 7 days before its reception, or after it, may be found by reception only:
        such a time is no evidence.
        """
        ...

    def write_records(self, records: Sequence[Record]) -> Written:
        """Store records durably, as `write_messages` does messages; their orders are greater than those
        of all stored before. The same record again (same device, data kind, identity and measured time,
        received within `BACKLOG_US` after it) changes nothing.
        """
        ...

    def read_records(
        self,
        after: int,
        through: int,
        *,
        since_us: int,
        limit: int,
        data_kinds: Collection[str] | None = None,
        communities: Collection[str] | None = None,
    ) -> list[Record]:
        """The first `limit` records with `after < order <= through`, by `order`.

        None of them was received before `since_us`: a bound for the search, a time known to lie before.
        Only of these data kinds and communities, where given. Orders and times of reception agree but for
        an hour: a clock that was set back further hides records from those who search by time (InfluxDB).
        """
        ...

    def collected(self, from_us: int, to_us: int) -> list[Collected]:
        """What was received in `[from_us, to_us)`, by data kind and community."""
        ...

    def latest(self) -> dict[str, Message]:
        """The last received message of every device that has any, by device."""
        ...

    def write_transitions(self, points: Sequence[TransitionPoint]) -> None:
        """Store transitions; the same one again changes nothing."""
        ...

    def write_indicators(self, points: Sequence[IndicatorPoint]) -> None:
        """Store indicator values; the same name, community and time again overwrites."""
        ...

    def delete_before(self, cutoff_us: int) -> int:
        """Delete raw messages received before the cutoff and say how many.

        -1 means that the store's own retention does it.
        """
        ...

    def delete_records_before(self, cutoff_us: int) -> int:
        """The same for records."""
        ...

    def oldest_us(self) -> int | None:
        """Reception time of the oldest raw message kept, or None if there is none."""
        ...

    def oldest_record_us(self) -> int | None:
        """The same of records."""
        ...

    def ping(self) -> None:
        """Return if the store answers, else raise `StoreUnavailable` with what people should check."""
        ...

    def close(self) -> None:
        """Give everything back; nothing may be called after it."""
        ...

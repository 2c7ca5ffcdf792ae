"""When the collector hears and when it is blind (rule 8 of the ledger): a pure state machine.

Listening is proved by canaries: messages of our own that the broker has to bring back. They come through
the same queue as everything else, so a canary that is back proves that all sent before it is here too.

| phase       | event                            | next        | what is recorded                            |
|-------------|----------------------------------|-------------|---------------------------------------------|
| `AWAY`      | `connected`                      | `JOINING`   | -                                           |
| `JOINING`   | a fresh canary is back           | `LISTENING` | the first ever: the start of coverage;      |
|             |                                  |             | else the gap ends (below)                   |
| `LISTENING` | a canary is overdue              | `DEAF`      | a gap opens                                 |
| `LISTENING` | a canary is back, an earlier not | `LISTENING` | a closed interval around the one lost       |
| `DEAF`      | a fresh canary is back           | `LISTENING` | the gap ends                                |
| `LISTENING` | `disconnected`                   | `AWAY`      | a gap opens                                 |
| the others  | `disconnected`                   | `AWAY`      | -; the gap stays open                       |

A *gap* opens at the last instant at which listening was proved: the sending of the last canary that came
back, or the reception of the last live message if later. It is recorded without an end when it is noticed.
A canary is *fresh* if it came back within `patience_us`; one that crawled through a backlog proves that the
backlog is complete, but not that what follows it is new.

When the gap ends, its open record is revoked. If the broker kept our session and dropped nothing, nothing
takes its place but, for each device with a queued beat that has no trusted time, a record of its own
(rule 3), and for each whose numbers show that messages of it were lost in the gap, a record of the time
between those that came. Else a closed record does, to the sending of the canary that ended the gap. Known
losses are a lost session, an earlier process that had another spool, a broker that started after the gap
began (it may have kept the session on disk, but while it was down nobody could reach it), a canary that
never came while a later one did, and a broker's count of dropped messages that grew while we were away
(noticed late, it records the gap again). A loss is recorded as the cause of the open record at once, so
that a process that ends in the middle does not forget it.

Times are microseconds since 1970 UTC.
"""

from enum import Enum, auto
from typing import NamedTuple

from pulse.ledger.model import FOREVER, Blind, Scope

AFTERTHOUGHT_US = 60_000_000
"""How long after a gap a grown count of dropped messages is still held against it (Mosquitto: every 10 s)."""

NO_CONNECTION = "no_connection"
STOPPED = "collector_stopped"
DOWN = "collector_down"
SPOOL_STALLED = "spool_stalled"
CANARY_OVERDUE = "canary_overdue"
SESSION_LOST = "session_lost"
CANARY_LOST = "canary_lost"
MESSAGES_DROPPED = "messages_dropped"
DISCARDED = "messages_discarded"
BROKER_RESTARTED = "broker_restarted"
SPOOL_ELSEWHERE = "spool_elsewhere"
QUEUED_WITHOUT_TIME = "queued_without_time"
SEQUENCE_GAP = "sequence_gap"
SKIPPED_AFTER_US = 300_000_000
"""How long after a gap a number that a device skipped is held against it: until then each has beaten."""

_EVERYTHING = Scope()
LOSSES = frozenset(
    {SESSION_LOST, CANARY_LOST, MESSAGES_DROPPED, DISCARDED, BROKER_RESTARTED, SPOOL_ELSEWHERE}
)


class Phase(Enum):
    """See the table above."""

    AWAY = auto()
    JOINING = auto()
    LISTENING = auto()
    DEAF = auto()


class SetStart(NamedTuple):
    """Coverage begins here; before it everything is blind."""

    at_us: int


class Open(NamedTuple):
    """Record a blind interval without an end. There is never more than one."""

    blind: Blind


class Shut(NamedTuple):
    """Revoke the open record."""

    at_us: int


class Record(NamedTuple):
    """Record a closed blind interval."""

    blind: Blind


class Proved(NamedTuple):
    """Listening was proved until here; where a restart begins its gap. `dropped` is the broker's count."""

    at_us: int
    dropped: int | None


Action = SetStart | Open | Shut | Record | Proved


class IllegalEventError(RuntimeError):
    """The event cannot happen in this phase; nothing was changed."""


class _Gap(NamedTuple):
    start: int
    end: int
    closed: int


class Coverage:
    """The machine. Every event method gives the actions to carry out, in order."""

    def __init__(self, patience_us: int) -> None:
        self._patience_us = patience_us
        self.phase = Phase.AWAY
        self._started = False
        self._gap: int | None = None
        """Start of the open gap."""
        self._loss: str | None = None
        """Why the open gap cannot be revoked, if so."""
        self._doubtful: set[str] = set()
        self._outstanding: dict[int, int] = {}
        self._canary_us = 0
        self._proved_us = 0
        self._dropped: int | None = None
        self._last_gap: _Gap | None = None
        self._drained: _Gap | None = None
        """The last gap that was revoked, as far as is known without a loss."""
        self._blind_us = 0
        """Length of all that is over."""

    @property
    def listening(self) -> bool:
        """Whether what arrives now is live (rule 3) and silence counts."""
        return self.phase is Phase.LISTENING

    @property
    def blind_since_us(self) -> int | None:
        """Start of the open gap, None while there is none."""
        return self._gap

    def awaiting_since_us(self) -> int | None:
        """Sending of the oldest canary that is not back."""
        return min(self._outstanding.values(), default=None)

    def blind_us(self, at_us: int) -> int:
        """How long it was blind in all: the gaps and lost canaries so far, revoked later or not.

        The open gap counts up to where it might still turn out to have ended: the sending of the oldest
        canary that can come back in time.
        """
        if self._gap is None:
            return self._blind_us
        hopes = (sent_us for sent_us in self._outstanding.values() if at_us - sent_us <= self._patience_us)
        return self._blind_us + max(0, min(hopes, default=at_us) - self._gap)

    def started(
        self, start_us: int | None, proved_us: int, still_open: Blind | None, dropped: int | None, at_us: int
    ) -> list[Action]:
        """The process begins, after an earlier one that set `start_us` and proved listening to `proved_us`.

        `still_open` is the blind interval that it left open, if it did. Both None: the first ever start.
        """
        self._expect(Phase.AWAY)
        if start_us is None:
            return []
        self._started = True
        self._canary_us = self._proved_us = proved_us
        self._dropped = dropped
        if still_open is not None:
            self._gap = still_open.start
            self._loss = still_open.cause if still_open.cause in LOSSES else None
            return []
        return self._open(DOWN, at_us)

    def connected(self, session_present: bool, at_us: int) -> list[Action]:
        """The broker accepted the connection, with or without the session of the last one."""
        self._expect(Phase.AWAY)
        self.phase = Phase.JOINING
        return [] if session_present else self._lose(SESSION_LOST, at_us)

    def canary_sent(self, number: int, at_us: int) -> list[Action]:
        """A canary left; numbers grow."""
        self._expect(Phase.JOINING, Phase.LISTENING, Phase.DEAF)
        self._outstanding[number] = at_us
        return []

    def canary_returned(self, number: int, at_us: int) -> list[Action]:
        """A canary of this connection came back, and all that came before it is durable."""
        self._expect(Phase.JOINING, Phase.LISTENING, Phase.DEAF)
        sent_us = self._outstanding.pop(number, None)
        if sent_us is None:
            return []
        actions: list[Action] = []
        missing = [earlier for earlier in self._outstanding if earlier < number]
        for earlier in missing:
            del self._outstanding[earlier]
        if missing:
            if self.listening:
                actions.append(Record(_closed(self._canary_us, sent_us, at_us, CANARY_LOST)))
                self._blind_us += max(0, sent_us - self._canary_us)
            actions += self._lose(CANARY_LOST, at_us)
        fresh = at_us - sent_us <= self._patience_us
        if not self.listening and fresh:
            actions += self._end_gap(sent_us, at_us)
            self.phase = Phase.LISTENING
        if self.listening:
            self._canary_us = sent_us
            self._proved_us = max(self._proved_us, sent_us)
            actions.append(Proved(self._proved_us, self._dropped))
        return actions

    def heard(self, at_us: int) -> list[Action]:
        """A live message received at `at_us` is durable."""
        if self.listening:
            self._proved_us = max(self._proved_us, at_us)
        return []

    def doubted(self, device: str) -> list[Action]:
        """The device has a queued beat without a trusted time (rule 3)."""
        if self._gap is not None and not self.listening:
            self._doubtful.add(device)
        return []

    def skipped(self, device: str, last_us: int, first_us: int, at_us: int) -> list[Action]:
        """A device's numbers say that messages between those of `last_us` and `first_us` are missing.

        Lost in the gap that lies between them, if one does: of a kept gap everything is blind anyway.
        """
        if self._gap is not None:
            gap = None if self._loss is not None else _Gap(self._gap, FOREVER, at_us)
        else:
            gap = self._drained
        if gap is None or at_us - gap.closed > SKIPPED_AFTER_US:
            return []
        start, end = max(gap.start, last_us), min(gap.end, first_us)
        if start >= end:
            return []
        return [Record(_closed(start, end, at_us, SEQUENCE_GAP, Scope(device=device)))]

    def counted_dropped(self, count: int, at_us: int) -> list[Action]:
        """The broker says how many messages it has dropped since it started."""
        before, self._dropped = self._dropped, count
        # A broker that began anew counts from 0.
        if before is None or not (count > before or 0 < count < before):
            return []
        if self._gap is not None:
            return self._lose(MESSAGES_DROPPED, at_us)
        return self._afterthought(MESSAGES_DROPPED, at_us)

    def broker_started(self, earliest_us: int, at_us: int) -> list[Action]:
        """The broker started at `earliest_us` or later; its next word may be more exact."""
        if self._gap is not None:
            return self._lose(BROKER_RESTARTED, at_us) if earliest_us > self._gap else []
        if self._last_gap is not None and earliest_us > self._last_gap.start:
            return self._afterthought(BROKER_RESTARTED, at_us)
        return []

    def spooled_elsewhere(self, at_us: int) -> list[Action]:
        """The earlier process had another spool: what it acknowledged last may be there alone."""
        return self._lose(SPOOL_ELSEWHERE, at_us)

    def discarded(self, at_us: int) -> list[Action]:
        """We had to discard messages of the present gap that the broker will not send again."""
        return self._lose(DISCARDED, at_us)

    def is_overdue(self, at_us: int) -> bool:
        """Whether listening can no longer be assumed: a canary has not come back in time."""
        oldest = self.awaiting_since_us()
        return self.listening and oldest is not None and at_us - oldest > self._patience_us

    def passed(self, at_us: int) -> list[Action]:
        """Time passed: is a canary overdue?"""
        if not self.is_overdue(at_us):
            return []
        self.phase = Phase.DEAF
        return self._open(CANARY_OVERDUE, at_us)

    def disconnected(self, at_us: int, cause: str = NO_CONNECTION) -> list[Action]:
        """The connection is gone."""
        self._expect(Phase.JOINING, Phase.LISTENING, Phase.DEAF)
        was_listening = self.listening
        self.phase = Phase.AWAY
        self._outstanding.clear()
        return self._open(cause, at_us) if was_listening else []

    def _expect(self, *phases: Phase) -> None:
        if self.phase not in phases:
            raise IllegalEventError(f"not while {self.phase.name}")

    def _open(self, cause: str, at_us: int) -> list[Action]:
        self._gap, self._loss = self._proved_us, None
        self._doubtful.clear()
        return [Open(Blind(self._proved_us, FOREVER, at_us, cause=cause))]

    def _lose(self, cause: str, at_us: int) -> list[Action]:
        if self._gap is None or self._loss is not None:
            return []
        self._loss = cause
        if cause in (CANARY_LOST, MESSAGES_DROPPED):
            # A full queue drops here and there: what came after the last canary proves nothing of the rest.
            self._gap = min(self._gap, self._canary_us)
        return [Shut(at_us), Open(Blind(self._gap, FOREVER, at_us, cause=cause))]

    def _afterthought(self, cause: str, at_us: int) -> list[Action]:
        """A loss in the gap that ended last, heard of soon after."""
        gap, self._last_gap = self._last_gap, None
        if gap is None or at_us - gap.closed > AFTERTHOUGHT_US:
            return []
        return [Record(_closed(gap.start, gap.end, at_us, cause))]

    def _end_gap(self, end_us: int, at_us: int) -> list[Action]:
        if not self._started:
            self._started = True
            return [SetStart(end_us)]
        if self._gap is None:
            return []
        start, self._gap = self._gap, None
        self._blind_us += max(0, end_us - start)
        actions: list[Action] = [Shut(at_us)]
        self._drained = None
        if self._loss is not None:
            actions.append(Record(_closed(start, end_us, at_us, self._loss)))
        else:
            actions += [
                Record(_closed(start, end_us, at_us, QUEUED_WITHOUT_TIME, Scope(device=device)))
                for device in sorted(self._doubtful)
            ]
            self._last_gap = self._drained = _Gap(start, end_us, at_us)
        return actions


def _closed(start: int, end: int, at_us: int, cause: str, scope: Scope = _EVERYTHING) -> Blind:
    return Blind(start, max(start, end), at_us, scope=scope, cause=cause)

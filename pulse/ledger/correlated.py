"""Correlated silence: when more than half of a community falls silent at once, suspect what carries its
messages rather than its devices. Pure; changes no state.

A device *falls silent* when it goes offline, by its deadline or by its last will; the time that counts is its
last evidence, not the deadline, since timeouts differ. It is *heard again* when it is online or reports a
fault. Devices in maintenance, not commissioned or retired count nowhere. While the collector is blind a
device is unknown, which says nothing of it: one that was silent stays so, none falls silent.

An incident opens when the last evidence of more than half of a community's devices, and of at least
`FEWEST`, lies within one timeout (the longest of the community). It grows while further silences lie in that
same stretch, and ends when no more than half of the community's devices are silent by it. A community has
one at a time. `start` is the latest of its times: until then one of them was heard.

A change costs O(log n) while no more than half of a community is silent (and a move in a sorted list).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pulse.ledger.model import FOREVER, State

FEWEST = 3
"""Fewer devices than this are no community that could be cut off as a whole."""

_COUNTED = frozenset({State.ONLINE, State.FAULT, State.OFFLINE, State.UNKNOWN})


class Incident(NamedTuple):
    """That much of a community fell silent together. Known by `community` and `opened`."""

    community: str
    opened: int
    """The deadline or last will that made it more than half."""
    first: int
    start: int
    """The earliest and the latest of the devices' last evidence."""
    devices: int
    """The most that were silent together."""
    silent: int
    """Those that are silent now."""
    of: int
    """The devices in service and not in maintenance."""
    ended: int = FOREVER


class Silence(NamedTuple):
    """A device that nobody hears, and the time of its last evidence."""

    device: str
    community: str
    last: int


@dataclass
class _Community:
    timeout: int = 0
    counted: int = 0
    silent: dict[str, int] = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    """The values of `silent` in order."""
    incident: Incident | None = None
    ahead: bool = False
    """Whether the ledger stands, after a restart, before what the incident tells of."""

    def remove(self, device: str) -> None:
        last = self.silent.pop(device, None)
        if last is not None:
            del self.times[bisect_left(self.times, last)]

    def add(self, device: str, last: int) -> None:
        self.silent[device] = last
        insort(self.times, last)

    def within(self, incident: Incident) -> int:
        """How many are silent by an incident."""
        return bisect_right(self.times, incident.start) - bisect_left(self.times, incident.first)

    def holds(self, incident: Incident) -> bool:
        """Whether these are more than half."""
        return 2 * self.within(incident) > self.counted


class Correlated:
    """All communities. One thread at a time; times are integers on the ledger's axis.

    Made anew from what the ledger holds (after a restart, or when the registry changed) it goes on as if
    it had been there all along: `ongoing` are the incidents that had not ended. `past` are those that ended
    later than the ledger stands: taking the same messages in again finds them again, and no others.
    """

    def __init__(
        self,
        timeouts: Mapping[str, int],
        counted: Mapping[str, int],
        silences: Iterable[Silence],
        ongoing: Iterable[Incident] = (),
        past: Iterable[Incident] = (),
    ) -> None:
        self._communities = {
            name: _Community(timeout, counted.get(name, 0)) for name, timeout in timeouts.items()
        }
        self._past = list(past)
        self._changed: dict[tuple[str, int], Incident] = {}
        for incident in ongoing:
            self._of(incident.community).incident = incident
        for device, community, last in silences:
            self._of(community).silent[device] = last
        for own in self._communities.values():
            own.times = sorted(own.silent.values())
            own.ahead = own.incident is not None and not own.holds(own.incident)

    def ongoing(self) -> list[Incident]:
        """The incidents that have not ended."""
        return [own.incident for own in self._communities.values() if own.incident is not None]

    def changed(self) -> list[Incident]:
        """The incidents that opened, changed or ended since this was asked last, each as it is now."""
        changed, self._changed = self._changed, {}
        return list(changed.values())

    def change(
        self, device: str, community: str, before: State, after: State, at: int, last: int | None
    ) -> None:
        """A device's accounted state changed at `at`; `last` is its last evidence if that made it silent."""
        own = self._of(community)
        own.counted += (after in _COUNTED) - (before in _COUNTED)
        if after is State.OFFLINE and last is not None:
            if own.silent.get(device) != last:
                own.remove(device)
                own.add(device, last)
            self._fell(community, own, last, at)
        elif after is not State.UNKNOWN:
            own.remove(device)
            self._judge(own, at)

    def settle(self, now: int) -> None:
        """End what is no longer so without a device's doing: after another registry, or a restart."""
        for own in self._communities.values():
            self._judge(own, now)

    def _of(self, community: str) -> _Community:
        return self._communities.setdefault(community, _Community())

    def _fell(self, community: str, own: _Community, last: int, at: int) -> None:
        incident = own.incident
        if incident is None:
            span = _together(own, last)
            if span is None:
                return
            first, start = span
            opened = next((p.opened for p in self._past if _same(p, community, first, start)), at)
            incident = Incident(community, opened, first, start, 0, 0, 0)
        else:
            first, start = min(incident.first, last), max(incident.start, last)
            if start - first > own.timeout:
                return
            incident = incident._replace(first=first, start=start)
        self._set(own, incident)

    def _judge(self, own: _Community, at: int) -> None:
        incident = own.incident
        if incident is None:
            return
        # Before the opening most devices are not yet silent again.
        if not own.holds(incident) and not (own.ahead and at <= incident.opened):
            incident = incident._replace(ended=at)
        self._set(own, incident)

    def _set(self, own: _Community, incident: Incident) -> None:
        now = own.within(incident)
        incident = incident._replace(devices=max(incident.devices, now), silent=now, of=own.counted)
        if incident == own.incident:
            return
        self._changed[incident.community, incident.opened] = incident
        own.incident = incident
        if incident.ended < FOREVER:
            own.incident, own.ahead = None, False


def _together(own: _Community, last: int) -> tuple[int, int] | None:
    """The span of the most times around `last` within one timeout, if they are more than half."""
    needed = max(FEWEST, own.counted // 2 + 1)
    times, width = own.times, own.timeout
    if len(times) < needed:
        return None
    earliest = bisect_left(times, last - width)
    if bisect_right(times, last + width) - earliest < needed:
        return None
    best, span = needed - 1, None
    for begin in range(earliest, bisect_right(times, last)):
        end = bisect_right(times, times[begin] + width)
        if end - begin > best:
            best, span = end - begin, (times[begin], times[end - 1])
    return span


def _same(past: Incident, community: str, first: int, start: int) -> bool:
    return past.community == community and past.first <= start and first <= past.start

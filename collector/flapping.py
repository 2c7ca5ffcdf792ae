"""Which devices flap while it happens: their changes are told as damped, and the flapping itself once."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from pulse.clock import DAY_US, SECOND_US, to_iso
from pulse.ledger.flapping import Episode, Flapping, FlapTerms
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import State
from pulse.ledger.outages import DOWN
from pulse.ledger.outcome import Transition
from pulse.stores.relational import events
from pulse.stores.relational.events import NewEvent

REMEMBERED_US = 7 * DAY_US
"""As long as events are kept."""

MOST_SINGLE = 100_000
FORGET_EVERY_US = 5 * SECOND_US

_RUNNING = frozenset({State.ONLINE.slug})
_DOWN = frozenset(state.slug for state in DOWN)


class Flappers:
    """What the keeper asks at every step; made anew with the engine, from the events that are stored.

    Only devices that changed within the last window are remembered, of a single change no more than its time.
    """

    def __init__(self, connection: Connection, terms: FlapTerms, through_us: int) -> None:
        """`through_us` is where the engine stands: what happened later it will tell again."""
        self._terms = terms
        self._devices: dict[str, Flapping] = {}
        self._single: dict[str, int] = {}
        self._was_running: dict[str, bool] = {}
        """Of the devices remembered, for those whose state is neither up nor down now."""
        self._forget_us = 0
        for event in events.since(connection, "transition", through_us - 2 * terms.window):
            if event.at_us <= through_us:
                body = event.body
                self._change(body["device"], body["before"], body["after"], event.at_us)
        for device, start_us, changes in _begun(connection, through_us):
            # It may have begun long ago and go on slowly: that it has, the event of its beginning tells.
            one = self._devices.get(device)
            if one is None or one.episode is None:
                last_us = start_us if one is None else one.quiet_at - terms.window
                last_us = max(last_us, self._single.pop(device, last_us))
                episode = Episode(start_us, last_us + terms.window, changes)
                self._devices[device] = Flapping.resumed(terms, episode)

    def observe(self, transitions: Sequence[Transition], fleet: Fleet, now_us: int) -> "Damping":
        """Take in what a step changed: which transitions are damped, and who began or ceased to flap."""
        damped: list[bool] = []
        found: list[tuple[str, Episode, bool]] = []
        for change in transitions:
            before = self._devices.get(change.device)
            ended = None if before is None else before.until(change.at)
            if ended is not None:
                found.append((change.device, ended, False))
            damped.append(before is not None and before.episode is not None)
            begun = self._change(change.device, change.before.slug, change.after.slug, change.at)
            if begun is not None:
                found.append((change.device, begun, True))
        if now_us >= self._forget_us:
            found += self._forget(now_us)
        told = [one for one in found if one[0] in fleet]
        places = fleet.places_of([device for device, _, _ in told])
        return Damping(damped, [_event(*one, place, now_us) for one, place in zip(told, places, strict=True)])

    def _change(self, device: str, before: str, after: str, at_us: int) -> Episode | None:
        """Count a transition if the device fails or is restored by it; the episode that begins with it."""
        known = before in _RUNNING or before in _DOWN
        was_running = before in _RUNNING if known else self._was_running.pop(device, None)
        is_running = after in _RUNNING
        if not (is_running or after in _DOWN):
            if was_running is not None and (device in self._devices or device in self._single):
                self._was_running[device] = was_running
            return None
        if was_running is None or was_running is is_running:
            return None
        one = self._devices.get(device)
        if one is None:
            first = self._single.pop(device, None)
            if first is None:
                # When a whole city falls silent at once, nobody flaps: that much need not be remembered.
                if len(self._single) < MOST_SINGLE:
                    self._single[device] = at_us
                return None
            one = self._devices[device] = Flapping(self._terms)
            one.change(first)
        return one.episode if one.change(at_us) else None

    def _forget(self, now_us: int) -> list[tuple[str, Episode, bool]]:
        """Forget the devices that have been quiet for a window; the episodes that ended by that."""
        self._forget_us = now_us + FORGET_EVERY_US
        over = [device for device, one in self._devices.items() if one.quiet_at <= now_us]
        found = []
        for device in over:
            ended = self._devices.pop(device).until(now_us)
            if ended is not None:
                found.append((device, ended, False))
        single = [device for device, at in self._single.items() if at + self._terms.window <= now_us]
        for device in single:
            del self._single[device]
        for device in (*over, *single):
            self._was_running.pop(device, None)
        return found


def _begun(connection: Connection, through_us: int) -> list[tuple[str, int, int]]:
    """Devices, beginnings and changes of the episodes that are told to have begun, and not to have ended."""
    ongoing: dict[str, tuple[int, int]] = {}
    for event in events.since(connection, "flapping", through_us - REMEMBERED_US):
        if event.at_us > through_us:
            continue
        if event.body["flapping"]:
            ongoing[event.body["device"]] = event.at_us, event.body["changes"]
        else:
            ongoing.pop(event.body["device"], None)
    return [(device, *found) for device, found in ongoing.items()]


class Damping(NamedTuple):
    """Of each transition of a step whether it is damped, and the events about flapping itself."""

    damped: Sequence[bool]
    news: Sequence[NewEvent]


def _event(device: str, episode: Episode, begins: bool, place: tuple[str, str], recorded_us: int) -> NewEvent:
    community, kind = place
    body = {
        "device": device,
        "community": community,
        "kind": kind,
        "flapping": begins,
        "since": to_iso(episode.start),
        "changes": episode.changes,
    }
    at_us = episode.start if begins else episode.end
    return NewEvent(at_us, recorded_us, "flapping", body, f"{device}/{episode.start}/{begins}")

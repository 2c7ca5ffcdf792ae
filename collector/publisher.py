"""What we publish, retained: the indicators and each device's state."""

from collections.abc import Mapping
from typing import Any

import msgspec

from collector.mqtt import Link
from pulse.clock import to_iso
from pulse.indicators.present import described
from pulse.indicators.sharing_present import told
from pulse.ledger.model import EVER
from pulse.ledger.outcome import Status, Transition
from pulse.ledger.rates import Figures
from pulse.stores.relational.published import PublishedValue

INDICATOR = "online-rate"
REPEAT_S = 60.0


def indicator_body(figures: Figures, at_us: int) -> dict[str, Any]:
    """The members of a published online rate: those of the API's answer, and its time."""
    return {"name": INDICATOR, **described(figures), "at": to_iso(at_us)}


class Publisher:
    """Hands messages to the link, which sends them when it can."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def indicator(self, whole: Figures, by_community: Mapping[str, Figures], at_us: int) -> None:
        """`pulse/indicators/online-rate` and the same of each community beneath it."""
        self._send(f"pulse/indicators/{INDICATOR}", indicator_body(whole, at_us))
        for community, figures in by_community.items():
            body = {**indicator_body(figures, at_us), "community": community}
            self._send(f"pulse/indicators/{INDICATOR}/{community}", body)

    def sharing(self, value: PublishedValue) -> None:
        """`pulse/indicators/data-sharing-ratio` and the same of each community beneath it, as published."""
        body = told(value)
        for community, own in body.pop("by_community").items():
            self._send(f"pulse/indicators/{value.name}/{community}", {**own, "community": community})
        self._send(f"pulse/indicators/{value.name}", body)

    def transition(self, change: Transition) -> None:
        """`pulse/devices/{device}/state` after a change."""
        self._state(change.device, change.after.slug, change.at, change.cause)

    def status(self, device: str, status: Status, cause: str | None = None) -> None:
        """`pulse/devices/{device}/state` as it is."""
        self._state(device, status.state.slug, status.since, cause)

    def _state(self, device: str, state: str, since_us: int, cause: str | None) -> None:
        since = to_iso(since_us) if since_us > EVER else None
        self._send(f"pulse/devices/{device}/state", {"state": state, "since": since, "cause": cause})

    def _send(self, topic: str, body: dict[str, Any]) -> None:
        self._link.publish(topic, msgspec.json.encode(body), retain=True)

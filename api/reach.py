"""What of an event a reader of some communities is told. Pure."""

from typing import Any

from pulse.indicators import sharing_present
from pulse.indicators.online_rate import NAME
from pulse.indicators.present import described, figures_of
from pulse.indicators.within import Within
from pulse.ledger.rates import Figures
from pulse.stores.relational.events import Event


def told(event: Event, within: Within) -> Event | None:
    """The event as readers of the communities `within` get it, None when it does not concern them.

    A transition or flapping belongs to its device's community, an incident to its own; either indicator is
    that of their communities together; whether the collector hears concerns everybody. What is of no known
    kind is for those who see all.
    """
    if within is None:
        return event
    match event.topic:
        case "transition" | "incident" | "flapping":
            return event if event.body.get("community") in within else None
        case "indicator":
            body = _reduced(event.body, within)
            return None if body is None else event._replace(body=body)
        case "sharing":
            body = _sharing(event.body, within)
            return None if body is None else event._replace(body=body)
        case "coverage":
            return event
        case _:
            return None


def _reduced(body: dict[str, Any], within: frozenset[str]) -> dict[str, Any] | None:
    parts = {name: part for name, part in body.get("by_community", {}).items() if name in within}
    if not parts:
        return None
    whole = Figures()
    for part in parts.values():
        whole.add(figures_of(part))
    return {"name": NAME, **described(whole), "at": body["at"], "by_community": parts}


def _sharing(body: dict[str, Any], within: frozenset[str]) -> dict[str, Any] | None:
    parts = {name: part for name, part in body.get("by_community", {}).items() if name in within}
    if not parts:
        return None
    kinds = ({k["id"]: [k["state"], k["reason"]] for k in part["kinds"]} for part in parts.values())
    whole = sharing_present.together({"kinds": own} for own in kinds)
    return {
        "name": sharing_present.NAME,
        **sharing_present.of_compact(whole),
        "at": body["at"],
        "by_community": parts,
    }

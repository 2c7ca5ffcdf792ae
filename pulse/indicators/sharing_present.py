"""The data-sharing ratio as answers: numbers that travel together, and the state of every kind."""

from collections.abc import Iterable, Mapping
from typing import Any

from pulse.clock import to_iso
from pulse.indicators.present import percent, ratio
from pulse.sharing.ratio import Answer, Judged, KindState, Ratio, Why, nearest, state_of
from pulse.stores.relational.published import PublishedValue

NAME = "data-sharing-ratio"

MARKS = 2.0
"""Points of the data-sharing ratio in the evaluation of 2020."""


def described(shared: int, unknown: int, collectable: int) -> dict[str, Any]:
    """The figures of an answer; `percent` is the lower bound while kinds are unknown."""
    upper = shared + unknown
    return {
        "shared": shared,
        "collectable": collectable,
        "unknown": unknown,
        "value": ratio(shared, collectable),
        "percent": percent(shared, collectable),
        "percent_upper": percent(upper, collectable),
        "determined": unknown == 0,
        "bounds": [ratio(shared, collectable), ratio(upper, collectable)] if collectable else None,
    }


def scored(shared: int, unknown: int, collectable: int) -> dict[str, Any]:
    """The points that the ratio would earn, by our assumption; none while a kind is unknown."""
    value = ratio(shared, collectable)
    points = None if value is None or unknown else round(MARKS * value, 2)
    return {"points": points, "of": MARKS, "assumption": True}


def whole(found: Answer) -> dict[str, Any]:
    """The members of an answer: all communities together, and each."""
    return {
        **of_ratio(found.whole),
        "score": scored(found.whole.shared, found.whole.unknown, found.whole.collectable),
        "by_community": {name: of_ratio(own) for name, own in found.by_community.items()},
    }


def of_ratio(found: Ratio) -> dict[str, Any]:
    """A ratio with the state of every kind."""
    return {
        **described(found.shared, found.unknown, found.collectable),
        "kinds": [of_kind(one) for one in found.kinds],
    }


def of_kind(one: Judged) -> dict[str, Any]:
    """A kind: state, reason, and the receipt that counts or else the last one."""
    receipt = one.receipt
    return {
        "id": one.kind.id,
        "name_zh": one.kind.name_zh,
        "name_en": one.kind.name_en,
        "state": str(one.state),
        "reason": str(one.why),
        "quiet": one.kind.quiet,
        "freshness_s": one.kind.freshness_s,
        "receipt": None
        if receipt is None
        else {
            "outlet": receipt.outlet,
            "delivery": receipt.delivery,
            "number": receipt.number,
            "acknowledged": to_iso(receipt.acknowledged_us),
            "expires": None if one.expires_us is None else to_iso(one.expires_us),
        },
    }


def compact(found: Answer) -> dict[str, Any]:
    """What is kept of a published value: counts, and state and reason of every kind."""
    return {
        "all": _compact(found.whole),
        "by_community": {name: _compact(own) for name, own in found.by_community.items()},
    }


def _compact(found: Ratio) -> dict[str, Any]:
    return _counted({one.kind.id: one.why for one in found.kinds})


def _counted(whys: Mapping[str, Why]) -> dict[str, Any]:
    states = [state_of(why) for why in whys.values()]
    return {
        "shared": states.count(KindState.SHARED),
        "unknown": states.count(KindState.UNKNOWN),
        "collectable": len(states) - states.count(KindState.NOT_COLLECTABLE),
        "kinds": {name: [str(state_of(why)), str(why)] for name, why in whys.items()},
    }


def of_compact(part: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a published value, whole or of a community, as they are told to others."""
    return {
        **described(part["shared"], part["unknown"], part["collectable"]),
        "kinds": [
            {"id": name, "state": state, "reason": why}
            for name, (state, why) in sorted(part["kinds"].items())
        ],
    }


def together(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What was published of several communities, as it is of all of them together."""
    whys: dict[str, list[Why]] = {}
    for part in parts:
        for name, (_, why) in part["kinds"].items():
            whys.setdefault(name, []).append(Why(why))
    return _counted({name: nearest(own) for name, own in sorted(whys.items())})


def states(part: Mapping[str, Any]) -> dict[str, int]:
    """How many kinds are in each state, of a published value."""
    amounts = {str(state): 0 for state in KindState}
    for state, _ in part["kinds"].values():
        amounts[state] += 1
    return amounts


def told(value: PublishedValue) -> dict[str, Any]:
    """A published value as it is told to the live streams and to MQTT."""
    at = to_iso(value.at_us)
    return {
        "name": NAME,
        **of_compact(value.figures["all"]),
        "at": at,
        "by_community": {
            name: {"name": NAME, **of_compact(part), "at": at}
            for name, part in sorted(value.figures["by_community"].items())
        },
    }

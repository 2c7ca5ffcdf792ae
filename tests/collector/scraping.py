"""Reading Prometheus metrics as Prometheus does."""

import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Figures = Mapping[str, float]
"""Values by name, with labels as in `pulse_messages_quarantined_total{reason="bad_id"}`."""


def figures(text: str) -> dict[str, float]:
    """What an exposition says. Raises `ValueError` if a series is there twice."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            series = f"{sample.name}{{{labels}}}" if labels else sample.name
            if series in found:
                raise ValueError(f"{series} is there twice")
            found[series] = sample.value
    return found


def scraped(url: str, token: str | None = None) -> dict[str, float]:
    """What `url` answers; nothing while nobody answers there."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return figures(answer.read().decode())
    except urllib.error.HTTPError:
        raise
    except OSError:
        return {}


def own() -> dict[str, float]:
    """The metrics of this process."""
    return figures(generate_latest(REGISTRY).decode())


def quarantined(found: Figures) -> dict[str, int]:
    """The quarantine's counters by reason, of messages and records together, but those at 0."""
    counts = Counter[str]()
    for what in ("messages", "records"):
        head = f'pulse_{what}_quarantined_total{{reason="'
        for series, value in found.items():
            if series.startswith(head) and value:
                counts[series.removeprefix(head).removesuffix('"}')] += int(value)
    return dict(counts)


def both(found: Figures, name: str) -> float:
    """A counter of messages and its like of records together."""
    return sum(found.get(f"pulse_{what}_{name}_total", 0) for what in ("messages", "records"))


def settled(found: Figures) -> bool:
    """Whether all that was received is accounted for, and all that was accepted has left the spool."""
    counted = {name: both(found, name) for name in _KINDS}
    return (
        counted["received"]
        == counted["accepted"] + counted["duplicate"] + sum(quarantined(found).values()) + counted["given_up"]
        and counted["accepted"] == counted["stored"] + counted["known_to_store"] + counted["refused_by_store"]
        and found.get("pulse_spool_messages") == 0
    )


_KINDS = (
    "received",
    "accepted",
    "duplicate",
    "given_up",
    "stored",
    "known_to_store",
    "refused_by_store",
)

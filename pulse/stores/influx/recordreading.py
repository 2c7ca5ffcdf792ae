"""Reading records back, in the order of reception, and what was collected of each kind."""

from collections.abc import Collection, Iterable, Mapping

from pulse.clock import HOUR_US
from pulse.messages import Record
from pulse.stores.acceptable import TIME_MAX_US
from pulse.stores.base import Collected
from pulse.stores.influx.client import Client, Parameter, Series
from pulse.stores.influx.lines import NS_PER_US
from pulse.stores.influx.records import RECORD
from pulse.stores.influx.windows import clamped

SLACK_US = HOUR_US
"""How far orders and times of reception may disagree: a host's clock that was set back."""

_FIELDS = '"body", "measured_us", "at_us", "queued", "identity", "order"'
_TAGS = '"device", "community", "kind", "data_kind"'


def read(
    client: Client,
    after: int,
    through: int,
    since_us: int,
    limit: int,
    data_kinds: Collection[str] | None,
    communities: Collection[str] | None,
) -> list[Record]:
    """See `TelemetryStore.read_records`.

    Points come in the order of their times. What lies later than the first `limit` and yet has a lesser
    order lies less than `SLACK_US` later, and is asked for by that.
    """
    if (
        limit <= 0
        or after >= through
        or any(names is not None and not names for names in (data_kinds, communities))
    ):
        return []
    chosen, parameters = _chosen({"data_kind": data_kinds, "community": communities})
    query = (
        f'SELECT {_FIELDS}, {_TAGS} FROM "{RECORD}" WHERE time >= $from AND time < $to'
        f' AND "order" > $after AND "order" <= $through{chosen} ORDER BY time LIMIT {int(limit)}'
    )
    first = clamped(since_us - SLACK_US)
    bounds: dict[str, Parameter] = {
        "from": first * NS_PER_US,
        "to": TIME_MAX_US * NS_PER_US,
        "after": after,
        "through": through,
    }
    found = _records(client.query(query, {**bounds, **parameters}))
    if len(found) == limit:
        last = found[-1].observed_us
        rest = query.rpartition(" LIMIT ")[0]
        later: dict[str, Parameter] = {
            "from": last * NS_PER_US,
            "to": clamped(last + SLACK_US) * NS_PER_US,
            "after": after,
            "through": max(record.order for record in found),
        }
        found += _records(client.query(rest, {**later, **parameters}))
    by_order = {(record.order, record.device, record.data_kind): record for record in found}
    return [by_order[key] for key in sorted(by_order)][:limit]


def collected(client: Client, from_us: int, to_us: int) -> list[Collected]:
    """See `TelemetryStore.collected`."""
    query = (
        f'SELECT count("order"), min("at_us"), max("at_us") FROM "{RECORD}"'
        ' WHERE time >= $from AND time < $to GROUP BY "data_kind", "community"'
    )
    bounds: dict[str, Parameter] = {"from": clamped(from_us) * NS_PER_US, "to": clamped(to_us) * NS_PER_US}
    return sorted(
        Collected(series.tags["data_kind"], series.tags["community"], int(count), _whole(first), _whole(last))
        for series in client.query(query, bounds)
        for _, count, first, last in series.values
        if count
    )


def oldest(client: Client) -> int | None:
    """See `TelemetryStore.oldest_record_us`."""
    query = f'SELECT "order" FROM "{RECORD}" WHERE time <= $until ORDER BY time LIMIT 1'
    rows = client.rows(query, {"until": TIME_MAX_US * NS_PER_US})
    return int(rows[0][0]) // NS_PER_US if rows else None


def _chosen(wanted: Mapping[str, Collection[str] | None]) -> tuple[str, dict[str, Parameter]]:
    """Conditions on tags with their parameters."""
    text, parameters = "", dict[str, Parameter]()
    for tag, names in wanted.items():
        if names is not None:
            own = {f"{tag}{i}": name for i, name in enumerate(sorted(names))}
            any_of = " OR ".join(f'"{tag}" = ${key}' for key in own)
            text += f" AND ({any_of})"
            parameters |= own
    return text, parameters


def _records(answer: Iterable[Series]) -> list[Record]:
    """The records of rows of `_FIELDS` and `_TAGS`."""
    return [_record(*row) for series in answer for row in series.values]


def _record(
    ns: int,
    body: str,
    measured_us: int | None,
    at_us: int | None,
    queued: bool,
    identity: int,
    order: int,
    device: str,
    community: str,
    kind: str,
    data_kind: str,
) -> Record:
    observed_us = ns // NS_PER_US
    return Record(
        device,
        community,
        kind,
        data_kind,
        observed_us,
        measured_us,
        at_us,
        queued,
        identity,
        body.encode(),
        order,
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)

"""Indicator values as points."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pulse.stores.base import IndicatorPoint
from pulse.stores.influx.client import Client
from pulse.stores.influx.lines import EVERYWHERE, INDICATOR, NS_PER_US, indicator_line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def lines(client: Client, points: Sequence[IndicatorPoint]) -> list[str]:
    """The lines of the values, after the ones that they could not wholly replace have been removed.

    InfluxDB merges fields: a value without bounds would leave the bounds of the one before it standing.
    """
    rendered = [indicator_line(point) for point in points]
    for point in points:
        if (point.lower is None or point.upper is None) and _has_bounds(client, point):
            _remove(client, point)
    return rendered


def _has_bounds(client: Client, point: IndicatorPoint) -> bool:
    query = (
        f'SELECT "lower", "upper" FROM "{INDICATOR}"'
        ' WHERE time = $at AND "name" = $name AND "community" = $community'
    )
    at_ns = point.at_us * NS_PER_US
    return bool(
        client.rows(query, {"at": at_ns, "name": point.name, "community": point.community or EVERYWHERE})
    )


def _remove(client: Client, point: IndicatorPoint) -> None:
    """Delete one point; its name and community have been checked as ids, so the predicate is safe."""
    community = point.community or EVERYWHERE
    predicate = f'_measurement="{INDICATOR}" AND "name"="{point.name}" AND "community"="{community}"'
    at = _EPOCH + timedelta(microseconds=point.at_us)
    with client.translated():
        client.api.delete_api().delete(at, at, predicate, client.bucket, client.org)

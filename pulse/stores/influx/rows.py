"""Points as InfluxQL answers them, back into messages."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pulse.messages import Message
from pulse.stores.influx.client import Series
from pulse.stores.influx.lines import OWN_FIELDS, STATUS, TAGS, metric_name
from pulse.stores.influx.receipts import unpacked

_SAID = {word: said for said, word in STATUS.items()}


class Point(NamedTuple):
    """A message and the timestamp it lies at, in nanoseconds."""

    ns: int
    message: Message


def points(series: Series) -> list[Point]:
    """The messages of one series of `SELECT *`. Points that this product did not write are passed over."""
    read = _reader(series)
    found = []
    for row in series.values:
        message = read(row)
        if message is not None:
            found.append(Point(row[0], message))
    return found


def _reader(series: Series) -> Callable[[Sequence[Any]], Message | None]:
    place = {column: position for position, column in enumerate(series.columns)}
    metrics = [
        (position, metric_name(column))
        for column, position in place.items()
        if column not in {"time", *TAGS, *OWN_FIELDS}
    ]
    status, receipt = place.get("status"), place.get("receipt")

    def value(row: Sequence[Any], name: str) -> Any:
        return row[place[name]] if name in place else series.tags.get(name)

    def read(row: Sequence[Any]) -> Message | None:
        if status is None or receipt is None:
            return None
        said, told = _SAID.get(row[status]), unpacked(row[receipt])
        if said is None or told is None:
            return None
        found = {name: float(row[position]) for position, name in metrics if row[position] is not None}
        return Message(
            value(row, "device"),
            value(row, "community"),
            value(row, "kind"),
            said[1],
            said[0],
            told.observed_us,
            told.measured_us,
            told.retained,
            told.queued,
            told.identity,
            value(row, "seq"),
            value(row, "fault"),
            found or None,
            told.order,
        )

    return read

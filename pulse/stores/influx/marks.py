"""What `placing` has to remember of every device, loaded when a store begins to write."""

from pulse.stores.influx.client import Client
from pulse.stores.influx.ground import Mark
from pulse.stores.influx.late import last_spans
from pulse.stores.influx.lines import HEARTBEAT, NS_PER_US
from pulse.stores.influx.memory import Memory
from pulse.stores.influx.reading import last_points
from pulse.stores.sameness import BACKLOG_US


def load(client: Client, now_us: int) -> Memory:
    """The marks of every device that has anything stored.

    Timestamps are exact; the greatest measured time and sequence number are those of the last week before
    `now_us`, the time in which a redelivery is looked for.
    """
    marks: dict[str, Mark] = {}
    for device, (ns, message) in last_points(client).items():
        mark = marks[device] = Mark()
        mark.take(message, ns // NS_PER_US)
        mark.stored_us = mark.tried_us
        # What has no measured time of its own in the point was measured at its timestamp.
        mark.measured_us = max(mark.measured_us, mark.tried_us)
    query = f'SELECT max("measured_us"), max("seq") FROM "{HEARTBEAT}" WHERE time >= $from GROUP BY "device"'
    for series in client.query(query, {"from": (now_us - BACKLOG_US) * NS_PER_US}):
        for _, measured, seq in series.values:
            mark = marks.setdefault(series.tags["device"], Mark())
            if measured is not None:
                mark.measured_us = max(mark.measured_us, measured)
            if seq is not None:
                mark.seq = max(mark.seq, seq)
    return Memory(marks, {device: span.ns for device, span in last_spans(client).items()})

"""Writing lines so that a bad one does not hold up the others."""

from concurrent.futures import Future, wait

import numpy as np

from pulse.errors import StoreRejected
from pulse.stores.influx.client import AT_ONCE, Client
from pulse.stores.influx.texts import Lines

REQUEST_BYTES = 4_000_000
WORTH_A_REQUEST = 1_500
"""Lines; fewer are not worth another request beside."""


def write_lines(client: Client, lines: Lines) -> list[tuple[int, str]]:
    """Write all lines; gives position and reason of those that InfluxDB will never take.

    Many go in several requests at a time, since InfluxDB works on one with one core. When this returns or
    raises, none is under way any more.
    """
    requests = _requests(lines)
    if len(requests) == 1:
        return _write(client, lines, *requests[0])
    running: list[Future[list[tuple[int, str]]]] = [
        client.beside.submit(_write, client, lines, start, end) for start, end in requests
    ]
    wait(running)
    return [refused for one in running for refused in one.result()]


def _write(client: Client, lines: Lines, start: int, end: int) -> list[tuple[int, str]]:
    """Write some of the lines in one request.

    A refused request is halved until the refused line is alone. InfluxDB may have stored some of such a
    request; writing them again changes nothing.
    """
    refused = []
    pending = [(start, end)]
    while pending:
        start, end = pending.pop()
        try:
            client.write(lines.text(start, end))
        except StoreRejected as error:
            if end - start == 1:
                refused.append((start, str(error)))
            else:
                middle = (start + end) // 2
                pending.extend(((middle, end), (start, middle)))
    return refused


def _requests(lines: Lines) -> list[tuple[int, int]]:
    """Ranges of the lines of at most `REQUEST_BYTES`, longer lines alone."""
    count = len(lines)
    at_once = max(min(AT_ONCE, count // WORTH_A_REQUEST), 1)
    most = min(REQUEST_BYTES, lines.begin(count) // at_once + 1)
    requests, start = [], 0
    while start < count:
        end = int(np.searchsorted(lines.ends, lines.begin(start) + most, side="right"))
        requests.append((start, max(end, start + 1)))
        start = requests[-1][1]
    return requests

"""Writing lines so that a bad one does not hold up the others."""

from collections.abc import Sequence

from pulse.errors import StoreRejected
from pulse.stores.influx.client import Client

REQUEST_BYTES = 4_000_000


def write_lines(client: Client, lines: Sequence[str]) -> list[tuple[int, str]]:
    """Write all lines; gives position and reason of those that InfluxDB will never take.

    A refused request is halved until the refused line is alone. InfluxDB may have stored some of such a
    request; writing them again changes nothing.
    """
    refused = []
    pending = [(start, end) for start, end in _requests(lines)][::-1]
    while pending:
        start, end = pending.pop()
        try:
            client.write(lines[start:end])
        except StoreRejected as error:
            if end - start == 1:
                refused.append((start, str(error)))
            else:
                middle = (start + end) // 2
                pending.extend(((middle, end), (start, middle)))
    return refused


def _requests(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Ranges of lines of at most `REQUEST_BYTES`, longer lines alone."""
    if sum(map(len, lines)) + len(lines) <= REQUEST_BYTES:
        return [(0, len(lines))] if lines else []
    requests, start, size = [], 0, 0
    for position, line in enumerate(lines):
        if size and size + len(line) > REQUEST_BYTES:
            requests.append((start, position))
            start, size = position, 0
        size += len(line) + 1
    if start < len(lines):
        requests.append((start, len(lines)))
    return requests

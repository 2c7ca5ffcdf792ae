"""Writing lines so that a bad one does not hold up the others."""

from collections.abc import Sequence
from concurrent.futures import Future, wait

from pulse.errors import StoreRejected
from pulse.stores.influx.client import AT_ONCE, Client

REQUEST_BYTES = 4_000_000
WORTH_A_REQUEST = 1_500
"""Lines; fewer are not worth another request beside."""


def write_lines(client: Client, lines: Sequence[str], first: int = 0) -> list[tuple[int, str]]:
    """Write all lines; gives position and reason of those that InfluxDB will never take.

    The `first` lines are stored before any other is sent; the others go in several requests at a time, since
    InfluxDB works on one with one core. When this returns or raises, none is under way any more.
    """
    refused = _write(client, lines, 0, first) if first else []
    requests = _requests(lines, first)
    if len(requests) < 2:
        for start, end in requests:
            refused += _write(client, lines, start, end)
        return refused
    running: list[Future[list[tuple[int, str]]]] = [
        client.beside.submit(_write, client, lines, start, end) for start, end in requests
    ]
    wait(running)
    for one in running:
        refused += one.result()
    return refused


def _write(client: Client, lines: Sequence[str], start: int, end: int) -> list[tuple[int, str]]:
    """Write some of the lines in one request.

    A refused request is halved until the refused line is alone. InfluxDB may have stored some of such a
    request; writing them again changes nothing.
    """
    refused = []
    pending = [(start, end)]
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


def _requests(lines: Sequence[str], first: int) -> list[tuple[int, int]]:
    """Ranges of the lines from `first` on of at most `REQUEST_BYTES`, longer lines alone."""
    whole, count = sum(map(len, lines)) + len(lines), len(lines) - first
    at_once = min(AT_ONCE, count // WORTH_A_REQUEST)
    if whole <= REQUEST_BYTES and at_once < 2:
        return [(first, len(lines))] if count else []
    most = min(REQUEST_BYTES, whole // max(at_once, 1) + 1)
    requests, start, size = [], first, 0
    for position in range(first, len(lines)):
        length = len(lines[position]) + 1
        if size and size + length > most:
            requests.append((start, position))
            start, size = position, 0
        size += length
    if start < len(lines):
        requests.append((start, len(lines)))
    return requests

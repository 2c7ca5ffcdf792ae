"""Whether one process of an installation does its work: `python -m pulse.health collector|api|scheduler`.

For the health checks of containers and services: exit status 0 and a word, or 1 and one line that says what
is wrong. A collector that hears nothing is healthy, as long as it says so; the pages show that.
"""

import argparse
import ssl
import sys
import urllib.error
import urllib.request

from pulse.clock import SECOND_US, Clock, SystemClock
from pulse.errors import PulseError
from pulse.settings import Settings, load
from pulse.stores.relational import coverage, jobs
from pulse.stores.relational.database import Database

COLLECTOR_SILENT_S = 30
"""The collector writes its watermark every second."""

SCHEDULER_SILENT_S = 180
"""The scheduler has a job that runs every minute."""

ANSWER_S = 5


class Unhealthy(PulseError):
    """The process does not do its work; the text says how that shows."""


def collector(db: Database, clock: Clock) -> None:
    """Raise `Unhealthy` unless a collector wrote its watermark lately."""
    with db.read() as connection:
        watermark = coverage.watermark(connection)
    if watermark is None:
        raise Unhealthy("no collector has written to this database yet")
    silent_s = (clock.now_us() - watermark.written_us) // SECOND_US
    if silent_s > COLLECTOR_SILENT_S:
        raise Unhealthy(f"the collector wrote its last watermark {silent_s} s ago")


def scheduler(db: Database, clock: Clock) -> None:
    """Raise `Unhealthy` unless a periodic job began lately."""
    with db.read() as connection:
        runs = jobs.recent(connection, 1)
    if not runs:
        raise Unhealthy("no periodic job has run yet")
    silent_s = (clock.now_us() - runs[0].started_us) // SECOND_US
    if silent_s > SCHEDULER_SILENT_S:
        raise Unhealthy(f"the last periodic job, {runs[0].name}, began {silent_s} s ago")


def api(settings: Settings) -> None:
    """Raise `Unhealthy` unless the API answers on this machine."""
    host = "127.0.0.1" if settings.http_host in {"0.0.0.0", "::", ""} else settings.http_host  # noqa: S104 - compared
    scheme = "http" if settings.http_tls_cert_file is None else "https"
    url = f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    # The certificate is the outside world's, made for a name that this machine need not know: asked is
    # whether the process answers, and nothing is told to it.
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    # A proxy for the outside world must not be asked about ourselves.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    try:
        with opener.open(f"{url}:{settings.http_port}/healthz", timeout=ANSWER_S):
            return
    except (urllib.error.URLError, OSError) as error:
        raise Unhealthy(f"{url}:{settings.http_port}/healthz: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """The process; gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pulse.health", description=__doc__)
    parser.add_argument("process", choices=["collector", "api", "scheduler"])
    process = parser.parse_args(arguments).process
    try:
        settings = load()
        if process == "api":
            api(settings)
        else:
            db = Database(settings.relational_url())
            {"collector": collector, "scheduler": scheduler}[process](db, SystemClock())
    except PulseError as error:
        sys.stderr.write(f"{process}: {error}\n")
        return 1
    sys.stdout.write(f"{process}: healthy\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

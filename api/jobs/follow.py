"""Following what happens: what changes is published within about a second, whatever the minute."""

import threading

from api.context import Context
from api.jobs.publish import LEAST_APART_US, Seen, publish_behind
from pulse import logs
from pulse.clock import SECOND_US
from pulse.errors import PulseError

EVERY_S = 1.0
SHARE = 0.2
"""Of the time at most: values of a large fleet take longer to work out and are published less often."""
LONGEST_S = 60.0

_log = logs.get(__name__)


def follow(context: Context, stop: threading.Event) -> None:
    """Publish changes until `stop` is set; what fails is tried again."""
    seen: Seen = {}
    wait_s = EVERY_S
    while not stop.wait(wait_s):
        began_s = context.clock.monotonic_s()
        apart_us = max(LEAST_APART_US, round(wait_s * SECOND_US))
        try:
            done = publish_behind(context, stop, seen, apart_us)
        except PulseError as error:
            _log.warning("publishing_failed", error=str(error))
            continue
        except Exception:
            _log.exception("publishing_broken")
            continue
        if done.drafted:
            wait_s = pause_s((context.clock.monotonic_s() - began_s) / done.drafted)


def pause_s(a_value_s: float) -> float:
    """How long to wait between two values of which each takes `a_value_s` to work out."""
    return min(max(EVERY_S, a_value_s / SHARE), LONGEST_S)

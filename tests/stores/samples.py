"""Messages for tests of telemetry stores: ready ones, and strategies for arbitrary ones."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from pulse.clock import DAY_US, HOUR_US
from pulse.messages import Channel, Evidence, Message
from pulse.stores.acceptable import INT64_MAX, INT64_MIN

T = 1_790_000_000_000_000
"""A moment in September 2026."""

IDENTITIES = st.integers(0, INT64_MAX)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

AWKWARD_NAMES = [
    "seq",
    "status",
    "observed_us",
    "measured_us",
    "identity",
    "order",
    "device",
    "community",
    "kind",
    "time",
    "fault",
    "retained",
    "queued",
    "channel",
    "_time",
    "_field",
    "_measurement",
    "_value",
    "metric.seq",
    "metric.",
    "metric",
    "温度",
    "🌡️",
    "#x",
    "$x",
    "a\\",
    "\\",
    "\\n",
    "on off",
    "level",
]
"""Names that a store might want for itself, or stumble over."""

METRIC_NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.text(st.sampled_from(" ,=\\\"'%.\n\r\t\0x#_"), min_size=1, max_size=6),
    st.sampled_from(AWKWARD_NAMES),
)


def message(**changes: Any) -> Message:
    """A beat of camera `cam-1`, measured 0.2 s before its reception, with the members given."""
    plain = Message(
        "cam-1", "xinjinglou", "camera", Evidence.BEAT, Channel.HEARTBEAT, T, T - 200_000, False, False, 4711
    )
    if "observed_us" in changes and "measured_us" not in changes:
        changes["measured_us"] = changes["observed_us"] - 200_000
    return msgspec.structs.replace(plain, **changes)


@st.composite
def messages(draw: st.DrawFn, device: str = "cam-1") -> Message:
    """Any message that the contract allows, received within two weeks."""
    observed = T + draw(st.integers(-7 * DAY_US, 7 * DAY_US))
    near = st.integers(-2 * HOUR_US, 2 * HOUR_US).map(lambda shift: observed + shift)
    within = st.integers(0, 8 * DAY_US).map(lambda age: observed - age)
    extreme = st.sampled_from([INT64_MIN, INT64_MAX, 0, -1, 1])
    return Message(
        device,
        draw(st.sampled_from(["xinjinglou", "A", "a.b-c_d"])),
        draw(st.sampled_from(["camera", "0", "gas_alarm"])),
        draw(st.sampled_from(Evidence)),
        draw(st.sampled_from(Channel)),
        observed,
        draw(st.one_of(st.none(), near, within, extreme)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(IDENTITIES),
        draw(st.one_of(st.none(), st.integers(INT64_MIN, INT64_MAX), extreme)),
        draw(st.one_of(st.none(), TEXT)),
        draw(
            st.one_of(
                st.none(),
                st.dictionaries(
                    METRIC_NAMES, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4
                ),
            )
        ),
        draw(st.integers(0, INT64_MAX)),
    )

"""Finding what is stored already where a batch wants to go, in few queries."""

from collections.abc import Iterable, Mapping, Sequence

from pulse.clock import MINUTE_US
from pulse.ids import is_id
from pulse.messages import Message
from pulse.stores.influx.client import Client, Parameter
from pulse.stores.influx.ground import Probe, Stored, grounds_of, same_probes
from pulse.stores.influx.lines import HEARTBEAT, NS_PER_US
from pulse.stores.influx.placing import Placer
from pulse.stores.influx.receipts import unpacked
from pulse.stores.sameness import BACKLOG_US

_GAP_NS = MINUTE_US * NS_PER_US
NAMED_DEVICES = 50
"""With more devices than this the query does not name them: passing over rows costs less than the words."""


def stored(client: Client, wanted: Iterable[Probe]) -> list[Stored]:
    """What lies where the probes point, and perhaps more."""
    found = []
    for (from_ns, to_ns), devices in clusters(wanted, _GAP_NS).items():
        named, parameters = devices_in(devices)
        query = f'SELECT "device", "receipt" FROM "{HEARTBEAT}" WHERE time >= $from AND time <= $to{named}'
        for series in client.query(query, {"from": from_ns, "to": to_ns, **parameters}):
            for ns, device, text in series.values:
                receipt = unpacked(text) if device in devices else None
                if receipt is not None:
                    found.append(
                        Stored(
                            device,
                            ns,
                            receipt.identity,
                            receipt.measured_us,
                            receipt.observed_us,
                            receipt.order,
                            receipt.retained,
                        )
                    )
    return found


def seen(client: Client, messages: Sequence[Message], placer: Placer, *, writes: bool) -> list[bool]:
    """For each message, whether the same one is stored.

    `writes`: the placer knows of every message that was written, so that it can rule most of them out.
    """
    asked = [m for m in messages if is_id(m.device) and (not writes or placer.may_be_stored(m))]
    wanted = [
        probe
        for m in asked
        for probe in same_probes(m, placer.at_us(m), placer.ahead_us(m.device) if writes else BACKLOG_US)
    ]
    grounds = grounds_of({m.device for m in asked}, stored(client, wanted))
    return [m.device in grounds and grounds[m.device].holds(m) for m in messages]


def devices_in(devices: Iterable[str]) -> tuple[str, dict[str, Parameter]]:
    """A condition on the tag `device` with its parameters; empty for more than `NAMED_DEVICES`."""
    names = sorted(devices)
    if len(names) > NAMED_DEVICES:
        return "", {}
    any_of = " OR ".join(f'"device" = $d{i}' for i in range(len(names)))
    return f" AND ({any_of})", {f"d{i}": name for i, name in enumerate(names)}


def clusters(probes: Iterable[Probe], gap_ns: int) -> Mapping[tuple[int, int], frozenset[str]]:
    """Probes joined into few: (from, to) to the devices in question.

    What lies less than `gap_ns` apart is looked up together; a probe that is itself longer than that is
    joined only with those of its own device, so that nobody else's past is read.
    """
    joined: dict[tuple[int, int], frozenset[str]] = {}
    own: dict[str, list[Probe]] = {}
    narrow = []
    for probe in probes:
        if probe.to_ns - probe.from_ns > gap_ns:
            own.setdefault(probe.device, []).append(probe)
        else:
            narrow.append(probe)
    for group in (*own.values(), narrow):
        for start, end, devices in _joined(group, gap_ns):
            joined[start, end] = joined.get((start, end), frozenset()) | devices
    return joined


def _joined(probes: Iterable[Probe], gap_ns: int) -> Iterable[tuple[int, int, frozenset[str]]]:
    start = end = 0
    devices: set[str] = set()
    for probe in sorted(probes, key=lambda p: p.from_ns):
        if devices and probe.from_ns - end > gap_ns:
            yield start, end, frozenset(devices)
            devices = set()
        if not devices:
            start = end = probe.from_ns
        end = max(end, probe.to_ns)
        devices.add(probe.device)
    if devices:
        yield start, end, frozenset(devices)

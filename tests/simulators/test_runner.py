"""The live fleet against a real mosquitto."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from pulse.errors import BadInput
from pulse.ledger.model import State
from pulse.messages import Channel, Evidence
from pulse.settings import Broker
from pulse.sharing import catalogue_file
from simulators import runner
from simulators.faults import Behaviour
from simulators.fleet import fleet
from simulators.scenario import DEFAULT, Scenario
from tests import programs
from tests.broker.clients import Client
from tests.servers import RunningBroker, free_port, mosquitto
from tests.simulators.live import Ear, running, until
from tests.simulators.scenes import SIXTY

SEED = 3
TIME_SCALE = 20.0
LONGEST_TIMEOUT_S = 180 / TIME_SCALE
READY_S = 60.0

DATA_KINDS = {kind.id: kind for kind in catalogue_file.default()}
STEADY_KINDS = {"gas_reading", "flow_reading", "lock_status", "video_status"}

TEN = Scenario(kind=(msgspec.structs.replace(DEFAULT.kinds[0], count=10),))


@pytest.fixture(name="broker")
def _broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with mosquitto(tmp_path / "broker") as broker:
        yield broker


def test_in_steady_state_exactly_the_stated_devices_are_down(broker: RunningBroker) -> None:
    whole = fleet(SEED, scenario=SIXTY)
    by_behaviour = {
        behaviour: {device for device, fault in whole.faults.items() if fault.behaviour is behaviour}
        for behaviour in Behaviour
    }
    assert len(whole.down) == 10
    with (
        Ear(broker.port, whole.scaled(TIME_SCALE)) as ear,
        running(Broker(broker.url), SIXTY, seed=SEED, time_scale=TIME_SCALE) as simulation,
    ):
        assert until(lambda: ear.not_running() == whole.down, READY_S), ear.not_running() ^ whole.down
        until_s = time.monotonic() + 2 * LONGEST_TIMEOUT_S
        while time.monotonic() < until_s:
            assert ear.not_running() == whole.down
            time.sleep(0.1)
        states = ear.states()
        for device in by_behaviour[Behaviour.FAULT]:
            assert states[device] is State.FAULT
            assert {m.evidence for m in ear.messages[device]} == {Evidence.FAULT}
        for device in by_behaviour[Behaviour.KILLED]:
            will = ear.messages[device][-1]
            assert (will.evidence, will.channel, will.retained) == (Evidence.OFFLINE, Channel.STATUS, False)
            assert Evidence.BEAT in {m.evidence for m in ear.messages[device]}
        for behaviour in (Behaviour.SILENT, Behaviour.NEVER_ACTIVATED, Behaviour.CUT_OFF_BUFFERING):
            assert not [ear.messages[device] for device in by_behaviour[behaviour] if ear.messages[device]]
        for device in by_behaviour[Behaviour.FLAPPING]:
            assert sum(m.channel is Channel.STATUS for m in ear.messages[device]) > 2
        for device in by_behaviour[Behaviour.WRONG_CLOCK]:
            skews_s = {
                round((m.measured_us - m.observed_us) / 3_600_000_000)
                for m in ear.messages[device]
                if m.measured_us is not None
            }
            assert skews_s in ({8}, {-8})
        for device in by_behaviour[Behaviour.LATE]:
            measured = [m.measured_us for m in ear.messages[device] if m.measured_us is not None]
            assert any(later < earlier for earlier, later in pairwise(measured))
        for device in by_behaviour[Behaviour.DUPLICATES]:
            identities = Counter(m.identity for m in ear.messages[device] if m.channel is Channel.HEARTBEAT)
            assert max(identities.values()) == 3
        others = set(whole.faults) ^ {device.id for device in whole.devices}
        assert all(
            m.metrics for device in others for m in ear.messages[device] if m.channel is Channel.HEARTBEAT
        )
        assert until(lambda: ear.data_kinds() >= STEADY_KINDS, READY_S), ear.data_kinds()
        assert not set(ear.drafts) & (whole.down - by_behaviour[Behaviour.KILLED])
        for told in ear.drafts.values():
            for draft in told:
                kind = DATA_KINDS[draft.place.data_kind]
                assert draft.place.kind in kind.sources
                assert jsonschema_rs.is_valid(kind.schema, draft.members)
        last = simulation.end()
        assert last.records >= sum(map(len, ear.drafts.values())) > 0
        assert (last.refused, last.lost, last.trouble) == (0, 0, "")
        assert last.connected == 0


def test_the_end_of_the_simulation_sends_no_last_wills(broker: RunningBroker) -> None:
    whole = fleet(SEED, scenario=TEN)
    with Ear(broker.port, whole) as ear, running(Broker(broker.url), TEN, seed=SEED) as simulation:
        assert until(lambda: len(ear.messages) == 10, READY_S)
        simulation.end()
        with Client(broker.port, "late") as late:
            late.subscribe("community/+/+/+/status")
            assert until(lambda: len(late.received) == 10, 10)
            assert {payload for _, payload, _ in late.received} == {b"online"}
        heard = [m for messages in ear.messages.values() for m in messages]
        assert Evidence.OFFLINE not in {m.evidence for m in heard}


def test_every_device_comes_back_after_a_broker_restart(broker: RunningBroker) -> None:
    with running(Broker(broker.url), SIXTY, seed=SEED, time_scale=TIME_SCALE) as simulation:
        assert until(lambda: bool(simulation.reports) and simulation.reports[-1].connected > 50, READY_S)
        with Ear(broker.port, fleet(SEED, scenario=SIXTY).scaled(TIME_SCALE)) as before:
            assert until(lambda: len(before.messages) >= 52, READY_S)
        broker.restart()
        down = fleet(SEED, scenario=SIXTY).down
        with Ear(broker.port, fleet(SEED, scenario=SIXTY).scaled(TIME_SCALE)) as after:
            assert until(lambda: after.not_running() == down, 30), after.not_running() ^ down
        assert simulation.end().lost > 40


def test_devices_wait_for_a_broker_that_is_not_there_yet(tmp_path: Path) -> None:
    programs.require("mosquitto")
    port = free_port()
    with running(Broker(f"mqtt://127.0.0.1:{port}"), TEN, seed=SEED) as simulation:
        assert until(lambda: any("refused" in r.trouble for r in simulation.reports), READY_S)
        conf = f"listener {port} 127.0.0.1\nallow_anonymous true"
        with mosquitto(tmp_path / "late", conf):
            assert until(lambda: simulation.reports[-1].connected == 10, READY_S)
            assert simulation.reports[-1].trouble == ""


def test_devices_sign_in_with_their_own_passwords(tmp_path: Path) -> None:
    mosquitto_passwd = programs.require("mosquitto_passwd")
    file = tmp_path / "passwords"
    ids = [device.id for device in fleet(SEED, scenario=TEN).devices]
    file.write_text("".join(f"{device}:secret-of-{device}\n" for device in ids[:9]))
    file.chmod(0o600)
    subprocess.run([str(mosquitto_passwd), "-U", str(file)], check=True)
    passwords = {device: f"secret-of-{device}" for device in ids[:8]} | {"*": "wrong"}
    with (
        mosquitto(tmp_path / "broker", f"password_file {file}") as broker,
        running(Broker(broker.url), TEN, seed=SEED, passwords=passwords) as simulation,
    ):
        assert until(lambda: bool(simulation.reports) and simulation.reports[-1].refused >= 2, READY_S)
        assert until(lambda: simulation.reports[-1].connected == 8, READY_S)
        assert simulation.reports[-1].trouble.split(":")[0] in ids[8:]


def test_descriptors_beyond_what_select_can_serve_do_no_harm(broker: RunningBroker) -> None:
    runner.allow_descriptors(2000)
    null = os.open("/dev/null", os.O_RDONLY)
    taken = [os.dup(null) for _ in range(1100)]
    try:
        with running(Broker(broker.url), TEN, seed=SEED, time_scale=60) as simulation:
            assert until(lambda: bool(simulation.reports) and simulation.reports[-1].connected == 10, READY_S)
            assert simulation.end().lost == 0
    finally:
        for descriptor in (*taken, null):
            os.close(descriptor)


def test_a_low_limit_of_open_files_is_raised_or_named() -> None:
    script = (
        "import resource\n"
        "from pulse.errors import Missing\n"
        "from simulators.runner import allow_descriptors\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))\n"
        "allow_descriptors(900)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "try:\n    allow_descriptors(1026)\nexcept Missing as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    raised, named = done.stdout.splitlines()
    assert raised == "(900, 1000)"
    assert "1026 open files are needed" in named
    assert "--devices 800" in named


def test_an_impossible_time_scale_is_refused() -> None:
    with pytest.raises(BadInput, match=r"time-scale: 0; use 0\.001 to 10000"):
        runner.run(Broker("mqtt://127.0.0.1:1"), seed=1, time_scale=0, stop=threading.Event())

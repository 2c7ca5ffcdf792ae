"""`pulse demo`: the whole product on simulated devices, from one command."""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer

from pulse import logs
from pulse.access.roles import system
from pulse.clock import HOUR_US, MINUTE_US, to_iso
from pulse.commands import beside, demosharing, ownbroker
from pulse.commands.demoaccounts import Accounts
from pulse.commands.parts import Parts, Workers, opened, stop_on_signals
from pulse.commands.serve import work
from pulse.errors import BadInput, Conflict
from pulse.indicators.recompute import RAW
from pulse.ports import free_port
from pulse.registry.noting import noted
from pulse.settings import Broker, Settings, load
from pulse.stores.relational import deletions, meta

log = logs.get(__name__)

HISTORY_DAYS = 7
RAW_HOURS = 24
RECENT_MINUTES = 10
BUCKET = "pulse-demo"
_MADE = "demo"
_SIMULATOR_STOPS_WITHIN_S = 2.0


class Choices(NamedTuple):
    """What was asked for on the command line."""

    data_dir: Path
    port: int
    mqtt_port: int
    devices: int
    seed: int
    history: bool
    time_scale: float
    embedded_broker: bool
    departments: bool = True

    def lasting(self) -> dict[str, Any]:
        """The choices that a data folder keeps: another fleet needs another folder."""
        return {"devices": self.devices, "seed": self.seed, "time_scale": self.time_scale}


def run(choices: Choices) -> None:
    """Run the demo until told to stop. Raises `PulseError` with what to do where it cannot start."""
    began = time.monotonic()
    stop = stop_on_signals()
    _say("正在准备演示… / Preparing the demo…")
    with _only_one(choices.data_dir):
        _run(choices, stop, began)
    _say("演示已结束 / The demo has ended.")


def _run(choices: Choices, stop: threading.Event, began: float) -> None:
    settings = _settings(choices)
    with opened(settings) as parts:
        accounts = Accounts(settings.data_dir)
        made = _prepare(parts, choices)
        with (
            _broker(parts, choices) as own,
            _simulator(own.broker, choices, _passwords(settings), stop),
            _departments(parts, choices, mqtt=own.mqtt_5),
        ):
            backfill = Workers(stop)
            if made is not None:
                backfill.start("history", lambda: _fill_in(parts, choices, made, stop))

            accounts.provide(parts)

            def banner(address: str) -> None:
                _banner(address, own.broker, settings, choices, accounts, time.monotonic() - began)

            work(
                parts,
                own.broker,
                stop,
                mqtt_5=own.mqtt_5,
                collect=True,
                answer=True,
                schedule=True,
                ready=banner,
            )
            backfill.join(1.0)


def _settings(choices: Choices) -> Settings:
    port = free_port("127.0.0.1", choices.port)
    if choices.port and port != choices.port:
        _say(f"端口 {choices.port} 已被占用，改用 {port} / Port {choices.port} is taken, using {port}.")
    overrides: dict[str, Any] = {
        "data_dir": choices.data_dir,
        "http_port": port,
        "demo": True,
        "public_view": True,
    }
    if "PULSE_LOG_LEVEL" not in os.environ:
        overrides["log_level"] = "WARNING"
    if "PULSE_INFLUXDB_BUCKET" not in os.environ:
        overrides["influxdb_bucket"] = BUCKET
    if choices.time_scale > 1:
        overrides["canary_interval_s"] = max(0.5, 10 / choices.time_scale)
    # A demo never writes into the database or the broker of a real installation.
    return load(**overrides).model_copy(
        update={"database_url": None, "mqtt_url": None, "broker_dir": None, "broker_auth": "always"}
    )


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the folder: two demos on one folder would count each other's devices."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / "demo.lock").open("w")
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", where=f"--data-dir {data_dir}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                f"另一个演示正在使用 {data_dir} / another demo is running on {data_dir}; "
                "stop it or give another --data-dir"
            ) from None
        yield


def _prepare(parts: Parts, choices: Choices) -> int | None:
    """Make registry and history of a new folder; gives the moment at which its history ends, else None."""
    from simulators.history import enter, raw_beats

    lasting = choices.lasting()
    with parts.db.read() as connection:
        made = meta.get(connection, _MADE)
    if made is not None:
        if json.loads(made) != lasting:
            raise BadInput(
                f"{choices.data_dir} 里是另一个演示 / holds a demo made with {made}; "
                f"start it with the same choices or give another --data-dir",
                where="--data-dir",
            )
        _say(f"接着上次的演示 / Going on with the demo in {choices.data_dir}.")
        return None
    began = time.monotonic()
    now = parts.clock.now_us()
    fleet = _fleet(choices)
    actor = system("demo", socket.gethostname())
    with parts.db.write() as connection, noted(connection, actor, now):
        enter(connection, fleet, choices.seed, now, days=HISTORY_DAYS if choices.history else 0)
        if choices.history:
            # Of the days before, the simulators told the intervals and never a message.
            raw_us = now - round(RAW_HOURS * HOUR_US / choices.time_scale)
            deletions.record(connection, RAW, raw_us, 0, now)
        meta.put(connection, _MADE, json.dumps(lasting))
    if choices.history:
        # The collector goes on from the last heartbeats; those of the day follow behind the running demo.
        for batch in raw_beats(fleet, choices.seed, now - RECENT_MINUTES * MINUTE_US, now):
            parts.store.write_messages(batch)
    took = time.monotonic() - began
    _say(
        f"已登记 {choices.devices} 台设备"
        + (f"并生成 {HISTORY_DAYS} 天历史" if choices.history else "")
        + f" / {choices.devices} devices registered"
        + (f" with {HISTORY_DAYS} days of history" if choices.history else "")
        + f" ({took:.1f} s)"
    )
    return now if choices.history else None


def _fleet(choices: Choices) -> Any:
    from simulators.fleet import fleet

    return fleet(choices.seed, choices.devices).scaled(choices.time_scale)


def _fill_in(parts: Parts, choices: Choices, end_us: int, stop: threading.Event) -> None:
    """Write the raw beats of the last day behind the running demo, slowly enough not to be felt."""
    from simulators.history import raw_beats

    fleet = _fleet(choices)
    # Scaled time has as many times the heartbeats.
    start_us = end_us - round(RAW_HOURS * HOUR_US / choices.time_scale)
    for batch in raw_beats(fleet, choices.seed, start_us, end_us, newest_first=True):
        if stop.wait(0.02):
            return
        parts.store.write_messages(batch)
    log.info("history_filled_in", from_time=to_iso(start_us), to_time=to_iso(end_us))


@contextlib.contextmanager
def _broker(parts: Parts, choices: Choices) -> Iterator[ownbroker.Running]:
    from simulators.credentials import provide

    path, now_us = _passwords(parts.settings), parts.clock.now_us()
    with parts.db.write() as connection:
        provide(connection, system("demo", socket.gethostname()), _fleet(choices), path, now_us)
    with ownbroker.running(parts, choices.mqtt_port, prefer_embedded=choices.embedded_broker) as own:
        if choices.mqtt_port and own.port != choices.mqtt_port:
            _say(
                f"MQTT 端口 {choices.mqtt_port} 已被占用，改用 {own.port} / "
                f"MQTT port {choices.mqtt_port} is taken, using {own.port}."
            )
        yield own


def _passwords(settings: Settings) -> Path:
    """The file that the simulated devices' passwords are kept in."""
    return settings.data_dir / "device-passwords"


@contextlib.contextmanager
def _simulator(broker: Broker, choices: Choices, passwords: Path, stop: threading.Event) -> Iterator[None]:
    """The simulators as a process of their own, which ends with us however we end."""
    arguments = (
        *("simulate", "--quiet", "--broker", broker.shown()),
        *("--seed", str(choices.seed), "--devices", str(choices.devices)),
        *("--time-scale", str(choices.time_scale), "--passwords", str(passwords)),
    )
    with beside.running(*arguments, stops_within_s=_SIMULATOR_STOPS_WITHIN_S) as process:
        threading.Thread(target=_watch, args=(process, stop), name="simulator", daemon=True).start()
        yield


@contextlib.contextmanager
def _departments(parts: Parts, choices: Choices, *, mqtt: bool) -> Iterator[None]:
    """Departments that receive what is shared, unless nobody wants them."""
    if not choices.departments:
        yield
        return
    demosharing.prepare(parts, choices.time_scale)
    with demosharing.running(parts, choices.time_scale, mqtt=mqtt):
        yield


def _watch(process: "subprocess.Popen[bytes]", stop: threading.Event) -> None:
    """A demo without devices shows them all fail: say so, and end."""
    status = process.wait()
    if not stop.is_set():
        log.error("simulator_ended", status=status)
        stop.set()


def _banner(
    address: str, broker: Broker, settings: Settings, choices: Choices, accounts: Accounts, took_s: float
) -> None:
    store = settings.influxdb_url or "SQLite"
    _say(
        f"""
  社区脉搏 Community Pulse                        模拟数据 / SIMULATED DATA

  网页 Page      {address}/
  接口 API       {address}/api/v1/indicators/online-rate
{_sharing_lines(address, settings, choices)}  MQTT           {broker.shown()}
                 设备口令 device passwords: {_passwords(settings)}
  登录 Sign in   {address}/sign-in
                 账户与密码 accounts and passwords ({accounts.path}):
{accounts.shown()}
  数据 Data      {settings.data_dir} ({store})

  {choices.devices} 台模拟设备正在连接；全部状态几分钟内确定。按 Ctrl-C 结束。
  {choices.devices} simulated devices are connecting; every state is certain within minutes. Ctrl-C ends it.
  (ready after {took_s:.1f} s)
"""
    )


def _sharing_lines(address: str, settings: Settings, choices: Choices) -> str:
    """Where data sharing is seen, and how a department is stopped."""
    if not choices.departments:
        return ""
    state = settings.data_dir / demosharing.FOLDER
    where = "" if str(state) == demosharing.DEFAULT_STATE else f" --state {state}"
    control = f"pulse simulate-departments control{where}"
    fresh = round(demosharing.freshness_s(choices.time_scale))
    return f"""  共享 Sharing   {address}/sharing
                 停止一个部门 stop a department: {control} fire stop
                 恢复 start it again:            {control} fire start
                 全部部门 all of them:           {control}
                 停止约 {fresh} 秒后为 7/8 / 7 of 8 some {fresh} s after it stopped
"""


def _say(text: str) -> None:
    typer.echo(text, err=False)
    sys.stdout.flush()

"""`pulse serve` and its parts as processes of their own: `collector`, `api`, `scheduler`."""

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import typer

from pulse import logs
from pulse.access.roles import system
from pulse.broker.publishing import publish
from pulse.commands import ownbroker
from pulse.commands.parts import Parts, Workers, opened, stop_on_signals
from pulse.errors import PulseError, SettingsError
from pulse.settings import Broker, Settings
from pulse.tls import client_context

log = logs.get(__name__)

STOP_WITHIN_S = 5.0


def collector(settings: Settings) -> None:
    """Collect until told to stop."""
    from collector import metrics

    broker = configured_broker(settings)
    stop = stop_on_signals()
    with opened(settings) as parts, metrics.served(settings.metrics_host, settings.metrics_port):
        _publish(parts)
        work(parts, broker, stop, collect=True)


def api(settings: Settings) -> None:
    """Serve the API and the pages until told to stop."""
    stop = stop_on_signals()
    with opened(settings) as parts:
        work(parts, None, stop, answer=True)


def scheduler(settings: Settings) -> None:
    """Run what is due until told to stop."""
    stop = stop_on_signals()
    with opened(settings) as parts:
        work(parts, None, stop, schedule=True)


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Everything in one process, with a broker of its own if none is configured."""
    stop = stop_on_signals()
    with opened(settings) as parts, _broker_of(parts) as (broker, mqtt_5):
        work(parts, broker, stop, mqtt_5=mqtt_5, collect=True, answer=True, schedule=True, ready=ready)


@contextlib.contextmanager
def _broker_of(parts: Parts) -> Iterator[tuple[Broker, bool]]:
    """The configured broker, or one that is started here and ends with us; and whether to try MQTT 5."""
    if parts.settings.mqtt_url is not None:
        _publish(parts)
        yield configured_broker(parts.settings), True
        return
    with ownbroker.running(parts, parts.settings.mqtt_port) as own:
        yield own.broker, own.mqtt_5


def _publish(parts: Parts) -> None:
    """Mend what a crash left between a change of credentials and the broker's files."""
    if parts.settings.broker_dir is None:
        return
    try:
        publish(parts.db, parts.settings)
    except PulseError as error:
        # Devices that signed in before still can; that is no reason not to hear them.
        log.error("broker_files_not_written", error=str(error))


def offer_setup(parts: Parts) -> None:
    """Print the one-time link with which the first administrator is made, while there is none.

    On standard output and not into the log: whoever reads logs must not be able to use it. Its code stands
    behind `#`, which browsers send to nobody.
    """
    from pulse.access import people

    with parts.db.write() as connection:
        actor = system("setup", socket.gethostname())
        code = people.begin_setup(connection, actor, parts.clock.now_us())
    if code is not None:
        typer.echo(
            "还没有管理员，请在一天内打开此链接创建（只能用一次） / "
            "There is no administrator yet; open this link within a day to make one (it works once):\n"
            f"  {parts.settings.page_address()}/setup#{code}"
        )
        sys.stdout.flush()


def configured_broker(settings: Settings) -> Broker:
    """The configured broker. Raises `SettingsError` if there is none."""
    if settings.mqtt_url is None:
        raise SettingsError(
            "is not set; give the broker's address, or run `pulse serve`, which starts a broker of its own",
            where="PULSE_MQTT_URL",
        )
    broker = Broker(settings.mqtt_url.get_secret_value())
    if broker.tls:
        # A CA file that cannot be read is said at the start, not in a log of attempts.
        client_context(settings.mqtt_ca_file)
    return broker


def work(
    parts: Parts,
    broker: Broker | None,
    stop: threading.Event,
    *,
    mqtt_5: bool = True,
    collect: bool = False,
    answer: bool = False,
    schedule: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Run the chosen parts in threads until `stop`; an error of one stops all and is raised."""
    workers = Workers(stop)
    if collect and broker is not None:
        # Only here: a process without a collector must not say that it received nothing.
        from collector.service import Collector

        part = Collector(parts.settings, broker, parts.db, parts.store, parts.clock, mqtt_5=mqtt_5)
        workers.start("collector", lambda: part.run(stop))
    if answer or schedule:
        # Not beside a lone collector, which has no use for their memory.
        from api import scheduler as schedules
        from api import server
        from api.context import Context
        from pulse.indicators.online_rate import OnlineRate

        rate = OnlineRate(parts.db, parts.clock, parts.settings.default_timeout_s)
        context = Context(parts.settings, parts.db, parts.store, parts.clock, rate)
    if schedule:
        workers.start("scheduler", lambda: schedules.run(context, stop))
    if answer:
        host, port = parts.settings.http_host, parts.settings.http_port

        def answering(address: str) -> None:
            if ready is not None:
                ready(address)
            offer_setup(parts)

        workers.start("api", lambda: server.serve(context, host, port, stop, ready=answering))
    while not stop.wait(1.0):
        pass
    workers.join(STOP_WITHIN_S)

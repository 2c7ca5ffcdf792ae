"""Put the simulated fleet into an installation's registry: `python -m simulators.register --seed 2020`.

With `--passwords FILE` it gets MQTT passwords too, which `pulse simulate --passwords FILE` uses.

For installations whose simulators are a process of their own, such as the demo profile of
docker-compose.yml; `pulse demo` does it by itself.
"""

import argparse
import socket
import sys
from contextlib import closing
from pathlib import Path

from pulse.access.roles import system
from pulse.broker.publishing import publish
from pulse.clock import SystemClock
from pulse.errors import Conflict, PulseError
from pulse.registry.noting import noted
from pulse.settings import load
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database
from simulators.credentials import provide
from simulators.fleet import Fleet, fleet
from simulators.scenario import DEFAULT
from simulators.scenario import load as load_scenario


def register(db: Database, simulated: Fleet, now_us: int) -> int:
    """Register communities, kinds, plan and devices of a fleet; gives how many devices are new.

    Doing it again changes nothing. Raises `Conflict` when the registry holds devices of another origin:
    simulated ones among real ones would spoil every figure.
    """
    with db.write() as connection:
        known = {device.id for device in registry.devices(connection)}
        ours = {device.id for device in simulated.devices}
        if known - ours:
            raise Conflict(
                f"the registry holds {len(known - ours)} devices that are not of this fleet, such as "
                f"{min(known - ours)}; simulate into an installation of its own, with the seed it began with"
            )
        actor = system("simulators", socket.gethostname())
        with noted(connection, actor, now_us):
            registry.put_communities(connection, simulated.communities, now_us)
            registry.put_kinds(connection, simulated.kinds, now_us)
            registry.put_planned(connection, simulated.planned, now_us)
            fresh = [device for device in simulated.devices if device.id not in known]
            registry.put_devices(connection, fresh, now_us, by=actor.name)
    return len(ours - known)


def main(arguments: list[str] | None = None) -> int:
    """The process; gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulators.register", description=__doc__)
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument("--devices", type=int)
    parser.add_argument("--scenario", type=Path)
    parser.add_argument("--passwords", type=Path, help="file to keep the devices' MQTT passwords in")
    given = parser.parse_args(arguments)
    try:
        scenario = DEFAULT if given.scenario is None else load_scenario(given.scenario)
        simulated = fleet(given.seed, given.devices, scenario)
        settings = load()
        with closing(Database(settings.relational_url())) as db:
            db.open()
            now_us = SystemClock().now_us()
            added = register(db, simulated, now_us)
            if given.passwords is not None:
                actor = system("simulators", socket.gethostname())
                with db.write() as connection:
                    provide(connection, actor, simulated, given.passwords, now_us)
                publish(db, settings)
    except PulseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        f"模拟设备 {len(simulated.devices)} 台，新登记 {added} 台 / "
        f"{len(simulated.devices)} simulated devices, {added} newly registered\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

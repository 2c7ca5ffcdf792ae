"""The embedded broker, a process of its own: `python -m collector.broker.embedded --port 1883 …`.

amqtt speaks MQTT 3.1.1, keeps nothing across its end, and drops a message that a subscriber does not
acknowledge within 5 s; so it is for trying out and for sites without mosquitto.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys

from amqtt.broker import Broker

from collector.broker import plugins
from collector.broker.leash import die_with
from pulse.errors import PulseError
from pulse.limits import allow_connections

SHUTDOWN_S = 1.5
"""Its orderly end can hang on connections that stay open; nothing is lost by cutting it off."""


async def serve(host: str, port: int, password_file: str | None, acl_file: str | None) -> None:
    """Run the broker until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    used: dict[str, dict[str, str | None]] = {
        f"{plugins.__name__}.Passwords": {"password_file": password_file, "acl_file": acl_file}
    }
    if acl_file:
        used[f"{plugins.__name__}.Topics"] = {"acl_file": acl_file}
    listener = {"type": "tcp", "bind": f"{host}:{port}"}
    broker = Broker({"listeners": {"default": listener}, "plugins": used}, loop=loop)
    await broker.start()
    await stop.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(broker.shutdown(), SHUTDOWN_S)


def main(arguments: list[str] | None = None) -> int:
    """The process; gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m collector.broker.embedded", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=2048)
    parser.add_argument("--password-file")
    parser.add_argument("--acl-file")
    parser.add_argument("--parent", type=int, help="end when this process does")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        if given.parent is not None:
            die_with(given.parent)
        allow_connections(given.connections)
        asyncio.run(serve(given.host, given.port, given.password_file, given.acl_file))
    except PulseError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Threads and connections that amqtt leaves behind must not hold up the end.
    os._exit(status)

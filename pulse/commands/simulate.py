"""`pulse simulate`: the fleet as real MQTT clients."""

from pathlib import Path

import typer

from pulse import logs
from pulse.commands.parts import stop_on_signals


def run(
    broker: str,
    *,
    seed: int,
    scenario: Path | None,
    devices: int | None,
    time_scale: float,
    passwords: Path | None,
    ca_file: Path | None,
    certificates: Path | None,
    quiet: bool,
) -> None:
    """Run the simulators until told to stop. Raises `BadInput` naming the option or the file's place."""
    from simulators import main

    def say(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    logs.configure("WARNING")
    main.simulate(
        broker,
        stop=stop_on_signals(),
        seed=seed,
        scenario_file=scenario,
        devices=devices,
        time_scale=time_scale,
        passwords_file=passwords,
        ca_file=ca_file,
        certificates=certificates,
        say=say,
    )

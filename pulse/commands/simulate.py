"""`pulse simulate`: the fleet as real MQTT clients."""

from pathlib import Path

from pulse import logs
from pulse.commands.parts import stop_on_signals


def run(
    broker: str,
    seed: int,
    scenario: Path | None,
    devices: int | None,
    time_scale: float,
    passwords: Path | None,
    quiet: bool,
) -> None:
    """Run the simulators until told to stop. Raises `BadInput` naming the option or the file's place."""
    from simulators import main

    logs.configure("WARNING" if quiet else "INFO")
    main.simulate(
        broker,
        seed=seed,
        scenario_path=scenario,
        devices=devices,
        time_scale=time_scale,
        passwords_path=passwords,
        quiet=quiet,
        stop=stop_on_signals(),
    )

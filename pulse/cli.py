"""The command line: thin, one function a command; each hands over to a module of `pulse.commands`."""

import sys
from typing import Annotated

import typer

from pulse import __version__, helppages, logs
from pulse.cli_ondemand import on_demand
from pulse.errors import BadInput, PulseError

# In the order of the help page; what a command line does not name is not loaded for it.
COMMANDS = {
    "coverage": "pulse.cli_coverage:coverage",
    "demo": "pulse.cli_running:demo",
    "serve": "pulse.cli_running:serve",
    "collector": "pulse.cli_running:collector",
    "api": "pulse.cli_running:api",
    "scheduler": "pulse.cli_running:scheduler",
    "simulate": "pulse.cli_running:simulate",
    "replay": "pulse.cli_answers:replay",
    "quarantine": "pulse.cli_answers:quarantine",
    "spool": "pulse.cli_answers:spool",
    "statistics": "pulse.cli_answers:statistics",
    "rate": "pulse.cli_answers:rate",
    "recompute": "pulse.cli_answers:recompute",
    "explain": "pulse.cli_answers:explain",
    "registry": "pulse.cli_registry:registry_app",
    "device": "pulse.cli_lives:app",
    "user": "pulse.cli_access:user_app",
    "token": "pulse.cli_access:token_app",
    "audit": "pulse.cli_access:audit_app",
    "incidents": "pulse.cli_coverage:incidents_app",
    "indicators": "pulse.cli_indicators:indicators_app",
    "maintenance": "pulse.cli_maintenance:app",
    "policy": "pulse.cli_policies:policy_app",
    "simulate-departments": "pulse.cli_departments:app",
    "catalogue": "pulse.cli_catalogue:catalogue_app",
    "outlet": "pulse.cli_sharing:outlet_app",
    "sharing": "pulse.cli_sharing:sharing_app",
    "certificates": "pulse.cli_certificates:certificates_app",
}

app = typer.Typer(
    name="pulse",
    cls=on_demand(COMMANDS),
    help="社区脉搏：智慧社区设备在线率与数据共享，可解释、可复算、可证明。\n\n"
    "Community Pulse: device online rate and data sharing of smart communities, "
    "explained, recomputed and proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; what people did wrong ends with one clear line and exit status 2."""
    # Before any command: standard output is for what was asked for, which programs read.
    logs.configure("WARNING")
    helppages.keep_letters()
    try:
        app()
    except BadInput as error:
        _fail(error, 2)
    except PulseError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away, as `pulse … | head` does.
        sys.stderr.close()
        sys.exit(1)


def _fail(error: PulseError, status: int) -> None:
    typer.echo(f"pulse: {error}", err=True)
    sys.exit(status)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"pulse {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="显示版本 / Show the version.")
    ] = False,
) -> None:
    del version

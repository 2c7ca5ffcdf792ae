"""A process loads the commands that its command line names, and of libraries what it uses."""

import pkgutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pulse import cli
from pulse.settings import load
from pulse.stores.relational import catalogue
from pulse.stores.relational.database import Database

LOADED = """
import atexit, sys
from pulse.cli import main
atexit.register(lambda: print("loaded:", *sorted(sys.modules)))
sys.argv[0] = "pulse"
main()
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", LOADED, *words]


def loaded(said: str) -> set[str]:
    return set(said.rpartition("loaded:")[2].split())


def groups(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("pulse.cli_")} - {"pulse.cli_ondemand"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--version", ""),
        ("rate --help", "pulse.cli_answers"),
        ("user create --help", "pulse.cli_access"),
        ("device credentials --help", "pulse.cli_lives pulse.cli_credentials"),
        ("nonsense", ""),
    ],
)
def test_a_command_line_loads_the_commands_that_it_names(line: str, expected: str) -> None:
    done = subprocess.run(command(*line.split()), capture_output=True, text=True, timeout=60, check=False)
    assert groups(loaded(done.stdout)) == set(expected.split()), done.stderr


@pytest.mark.parametrize("influxdb", [False, True], ids=["embedded", "influxdb"])
def test_a_collector_has_loaded_what_it_uses(
    tmp_path: Path, influxdb: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "PULSE_DATA_DIR": str(tmp_path),
        "PULSE_MQTT_URL": "mqtt://127.0.0.1:9",
        **({"PULSE_INFLUXDB_URL": "http://127.0.0.1:9", "PULSE_INFLUXDB_TOKEN": "x"} if influxdb else {}),
    }.items():
        monkeypatch.setenv(name, value)
    database = Database(load().relational_url())
    database.open()
    with database.write() as connection:
        catalogue.seed(connection, 0)
    database.close()
    with subprocess.Popen(
        command("collector"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any('"collecting"' in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    modules = loaded(said)
    assert "collector.service" in modules
    assert groups(modules) == {"pulse.cli_running"}
    assert modules.isdisjoint({"alembic", "fastapi", "jsonschema_rs", "psycopg", "yaml"})
    assert "sqlalchemy.dialects.postgresql" not in modules
    assert ("influxdb_client" in modules, "pulse.stores.sqlite" in modules) == (influxdb, not influxdb)


@pytest.fixture(scope="module")
def eager() -> typer.Typer:
    """The same commands, all given to typer at once."""
    made = typer.Typer(
        name="pulse",
        help=cli.app.info.help,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings=cli.app.info.context_settings,
    )
    made.callback()(cli._options)
    for name, place in cli.COMMANDS.items():
        found = pkgutil.resolve_name(place)
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=name)
        else:
            made.command(name)(found)
    return made


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-h"],
        ["--nothing"],
        ["nonsense"],
        ["colector"],
        ["serv", "--port", "1"],
        ["outlet"],
        ["outlet", "lst"],
        *([name, "--help"] for name in cli.COMMANDS),
    ],
    ids=" ".join,
)
def test_pages_and_errors_are_those_of_commands_loaded_at_once(eager: typer.Typer, words: list[str]) -> None:
    ours, theirs = (CliRunner().invoke(app, words, prog_name="pulse") for app in (cli.app, eager))
    assert (ours.exit_code, ours.output) == (theirs.exit_code, theirs.output)
    assert ours.output

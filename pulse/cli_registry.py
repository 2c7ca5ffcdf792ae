"""The commands of the registry."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

registry_app = typer.Typer(
    help="登记册：设备、社区、类别、计划数量 / The registry: devices, communities, kinds, plans.",
    no_args_is_help=True,
)

_What = Annotated[str, typer.Option("--what", help="devices、communities、kinds 或 planned / Which table.")]


@registry_app.command("import")
def registry_import(
    file: Annotated[Path, typer.Argument(help="CSV，UTF-8 / A CSV file in UTF-8.")],
    what: _What = "devices",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只检查，不写入 / Check only, take nothing.")
    ] = False,
    prefix: Annotated[
        bool, typer.Option("--prefix", help="设备编号前加社区编号 / Put the community before device ids.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """导入 CSV；有一行不对，则整个文件都不写入 / Import a CSV; one bad row, and nothing of it is taken."""
    from pulse.commands import registry as command

    typer.echo(command.imported(load(data_dir=data_dir), file, what, dry_run=dry_run, prefix=prefix))


@registry_app.command("export")
def registry_export(
    what: _What = "devices",
    known_at: Annotated[
        str | None, typer.Option("--known-at", help="设备当时的登记 / Devices as registered then.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """导出为 CSV / Export as CSV to standard output."""
    from pulse.commands import registry as command

    sys.stdout.buffer.write(command.exported(load(data_dir=data_dir), what, known_at).encode())

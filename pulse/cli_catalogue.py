"""The commands of the catalogue: the kinds of data that are shared with departments."""

from pathlib import Path
from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

catalogue_app = typer.Typer(
    help="数据目录：共享哪些数据种类 / The catalogue of kinds of data that are shared.",
    no_args_is_help=True,
)

_Id = Annotated[str, typer.Argument(metavar="ID", help="数据种类编号 / Id of the kind of data.")]
_At = Annotated[str | None, typer.Option("--at", help="何时的目录，默认现在 / As in force then.")]
_KnownAt = Annotated[str | None, typer.Option("--known-at", help="按当时所知 / As known then.")]
_From = Annotated[
    str | None, typer.Option("--from", help="从何时起，默认现在 / From when on, now by default.")
]
_Reason = Annotated[str, typer.Option("--reason", help="理由，记入审计 / Why, for the audit log.")]
_Json = Annotated[bool, typer.Option("--json", help="输出 JSON / Print JSON.")]


@catalogue_app.command("list")
def catalogue_list(
    at: _At = None, known_at: _KnownAt = None, as_json: _Json = False, data_dir: DataDir = None
) -> None:
    """列出目录中的数据种类 / List the kinds in the catalogue."""
    from pulse.commands import catalogue as command

    asked = command.Asked(at, known_at)
    for line in command.listed(load(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)


@catalogue_app.command("show")
def catalogue_show(
    kind: _Id, at: _At = None, known_at: _KnownAt = None, as_json: _Json = False, data_dir: DataDir = None
) -> None:
    """显示一种数据的全部约定 / Show all that is said of a kind, its JSON Schema too."""
    from pulse.commands import catalogue as command

    asked = command.Asked(at, known_at)
    typer.echo(command.described(load(data_dir=data_dir), kind, asked, as_json=as_json))


@catalogue_app.command("history")
def catalogue_history(kind: _Id, as_json: _Json = False, data_dir: DataDir = None) -> None:
    """列出一种数据的历次版本 / List every version of a kind."""
    from pulse.commands import catalogue as command

    for line in command.history(load(data_dir=data_dir), kind, as_json=as_json):
        typer.echo(line)


@catalogue_app.command("import")
def catalogue_import(
    file: Annotated[Path, typer.Argument(help="YAML 文件，形式同 export / A YAML file as export writes it.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只说明会更改什么 / Only say what would change.")
    ] = False,
    from_: _From = None,
    reason: _Reason = "",
    data_dir: DataDir = None,
) -> None:
    """取用目录文件，从现在（或更晚）起；过去不变 / Take a file, from now (or later) on; the past stays.

    All of it or nothing: what is wrong is named by its place. Kinds that it does not name stay as they are.
    """
    from pulse.commands import catalogue as command

    for line in command.taken(load(data_dir=data_dir), file, from_, reason, dry=dry_run):
        typer.echo(line)


@catalogue_app.command("export")
def catalogue_export(at: _At = None, known_at: _KnownAt = None, data_dir: DataDir = None) -> None:
    """输出目录文件（YAML）/ Print the catalogue as a file (YAML)."""
    from pulse.commands import catalogue as command

    typer.echo(command.exported(load(data_dir=data_dir), command.Asked(at, known_at)))


@catalogue_app.command("withdraw")
def catalogue_withdraw(
    kind: _Id, from_: _From = None, reason: _Reason = "", data_dir: DataDir = None
) -> None:
    """将一种数据移出目录，历次版本仍保留 / Let a kind leave the catalogue; its versions stay."""
    from pulse.commands import catalogue as command

    typer.echo(command.withdrawn(load(data_dir=data_dir), kind, from_, reason))

"""The commands of coverage: when the collector could not hear, and what people decide of it."""

from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

incidents_app = typer.Typer(
    help="集中失联：过半设备同时沉默 / Silences of more than half of a community at once.",
    no_args_is_help=True,
)

_Id = Annotated[int, typer.Argument(metavar="ID", help="事件编号 / Number of the incident.")]
_Reason = Annotated[str, typer.Option("--reason", help="理由 / Why.")]
_Json = Annotated[bool, typer.Option("--json", help="每行一个 JSON / A JSON object a line.")]


def coverage(
    from_: Annotated[str | None, typer.Option("--from", help="从何时（含）/ From this time on.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="到何时（不含）/ Before this time.")] = None,
    known_at: Annotated[
        str | None, typer.Option("--known-at", help="按当时所知 / What was known then, nothing revoked.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="最多列出的条数 / Most entries.")] = 100,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """列出采集器听不到的时段及原因，最近记录的在前 / List when the collector could not hear, and why.

    What was recorded last comes first, revoked entries too. Silence in such a time is unknown, not offline.
    """
    from pulse.commands import coverage as command

    for line in command.listed(load(data_dir=data_dir), from_, to, known_at, limit, as_json=as_json):
        typer.echo(line)


@incidents_app.command("list")
def incidents_list(
    community: Annotated[str | None, typer.Option("--community", help="小区 / Of a community.")] = None,
    unsettled: Annotated[
        bool, typer.Option("--unsettled", help="只列待处理的 / Only what waits for a decision.")
    ] = False,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """列出集中失联，最近的在前 / List them, the newest first."""
    from pulse.commands import coverage as command

    for line in command.incidents_listed(
        load(data_dir=data_dir), community, unsettled=unsettled, as_json=as_json
    ):
        typer.echo(line)


@incidents_app.command("confirm")
def incidents_confirm(incident: _Id, reason: _Reason, data_dir: DataDir = None) -> None:
    """确认是网络或采集问题，待另一人批准 / Say that the network or the collector failed; another approves."""
    from pulse.commands import coverage as command

    typer.echo(command.confirm(load(data_dir=data_dir), incident, reason))


@incidents_app.command("approve")
def incidents_approve(incident: _Id, data_dir: DataDir = None) -> None:
    """批准他人的确认，此后其间的沉默为未知 / Approve what another confirmed: its silence becomes unknown."""
    from pulse.commands import coverage as command

    typer.echo(command.approve(load(data_dir=data_dir), incident))


@incidents_app.command("dismiss")
def incidents_dismiss(incident: _Id, reason: _Reason, data_dir: DataDir = None) -> None:
    """排除：设备确已失联；已批准的随之撤销 / The devices were silent indeed; withdraws what was approved."""
    from pulse.commands import coverage as command

    typer.echo(command.dismiss(load(data_dir=data_dir), incident, reason))

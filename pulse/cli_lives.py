"""The commands of the lives of devices, under `pulse device`."""

from typing import Annotated

import typer

from pulse.cli_credentials import credentials_app
from pulse.options import DataDir
from pulse.settings import load

app = typer.Typer(
    help="设备：启用、停用、更换、移动与口令 / Lives and credentials of devices.", no_args_is_help=True
)
app.add_typer(credentials_app, name="credentials")

_Device = Annotated[str, typer.Argument(metavar="DEVICE", help="设备编号 / Device id.")]
_Id = Annotated[int, typer.Argument(metavar="ID", help="变更编号 / Number of the step.")]
_At = Annotated[str | None, typer.Option("--at", help="何时，默认现在 / When, with a zone; now by default.")]
_Why = Annotated[str, typer.Option("--reason", help="理由 / Why.")]
_Yes = Annotated[bool, typer.Option("--yes", help="看过影响后不再询问 / Do not ask after the effect.")]
_Json = Annotated[bool, typer.Option("--json", help="输出 JSON / Print JSON.")]


@app.command("commission")
def commission(
    device: _Device, reason: _Why, at: _At = None, yes: _Yes = False, data_dir: DataDir = None
) -> None:
    """启用；时间已久的先显示影响，待另一人批准 / Put into service; long ago, another person approves."""
    _take("commission", device, reason, at, None, yes=yes, data_dir=data_dir)


@app.command("retire")
def retire(
    device: _Device, reason: _Why, at: _At = None, yes: _Yes = False, data_dir: DataDir = None
) -> None:
    """停用；时间已久的先显示影响，待另一人批准 / Retire; long ago, another person approves."""
    _take("retire", device, reason, at, None, yes=yes, data_dir=data_dir)


@app.command("replace")
def replace(
    device: _Device,
    successor: Annotated[str, typer.Argument(metavar="NEW", help="新设备编号 / Id of the new device.")],
    reason: _Why,
    at: _At = None,
    yes: _Yes = False,
    data_dir: DataDir = None,
) -> None:
    """由新设备接替其位置，位置的历史保留 / A new unit takes its place, which keeps its history."""
    _take("replace", device, reason, at, successor, yes=yes, data_dir=data_dir)


@app.command("move")
def move(
    device: _Device,
    reason: _Why,
    community: Annotated[str | None, typer.Option("--community", help="小区 / Community.")] = None,
    building: Annotated[str | None, typer.Option("--building", help="楼栋 / Building.")] = None,
    location: Annotated[str | None, typer.Option("--location", help="位置 / Place in it.")] = None,
    data_dir: DataDir = None,
) -> None:
    """从现在起在另一位置 / Say that it stands elsewhere from now on."""
    from pulse.commands import lives as command

    typer.echo(command.move(load(data_dir=data_dir), device, reason, community, building, location))


@app.command("life")
def life(device: _Device, as_json: _Json = False, data_dir: DataDir = None) -> None:
    """列出一台设备的一生，及其位置的历史 / Tell what happened to a device, and its place's history."""
    from pulse.commands import lives as command

    for line in command.told(load(data_dir=data_dir), device, as_json=as_json):
        typer.echo(line)


@app.command("changes")
def changes(
    status: Annotated[
        str | None, typer.Option("--status", help="pending, recorded, refused, cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="最多列出的条数 / Most entries.")] = 100,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """列出启用、停用与更换，最近记录的在前 / List commissioning, retirement and replacement."""
    from pulse.commands import lives as command

    for line in command.listed(load(data_dir=data_dir), status, limit, as_json=as_json):
        typer.echo(line)


@app.command("approve")
def approve(entry: _Id, data_dir: DataDir = None) -> None:
    """批准他人记录的变更，从此刻起生效 / Approve what another recorded: it counts from now on."""
    from pulse.commands import lives as command

    typer.echo(command.approve(load(data_dir=data_dir), entry))


@app.command("refuse")
def refuse(entry: _Id, reason: _Why, data_dir: DataDir = None) -> None:
    """驳回待批准的变更 / Say that what waits shall not count."""
    from pulse.commands import lives as command

    typer.echo(command.refuse(load(data_dir=data_dir), entry, reason))


@app.command("cancel")
def cancel(entry: _Id, reason: _Why, data_dir: DataDir = None) -> None:
    """撤回待批准的变更 / Withdraw what waits for approval."""
    from pulse.commands import lives as command

    typer.echo(command.cancel(load(data_dir=data_dir), entry, reason))


def _take(
    what: str,
    device: str,
    reason: str,
    at: str | None,
    successor: str | None,
    *,
    yes: bool,
    data_dir: DataDir,
) -> None:
    from pulse.commands import lives as command

    line = command.take(
        load(data_dir=data_dir),
        what,
        device,
        at,
        reason,
        typer.echo,
        lambda: yes or typer.confirm("保存，待另一人批准？ / Save it for another person to approve?"),
        successor=successor,
    )
    typer.echo(line or "没有保存 / nothing was saved")

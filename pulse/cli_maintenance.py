"""The commands of maintenance."""

from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

app = typer.Typer(
    help="维护：计划与补记，取消与批准 / Maintenance, planned or recorded afterwards.", no_args_is_help=True
)

_Id = Annotated[int, typer.Argument(metavar="ID", help="记录编号 / Number of the entry.")]
_Why = Annotated[str, typer.Option("--reason", help="理由 / Why.")]
_Json = Annotated[bool, typer.Option("--json", help="输出 JSON / Print JSON.")]
_From = Annotated[str, typer.Option("--from", help="开始（含），带时区的 ISO 8601 / Begins, with a zone.")]
_To = Annotated[str, typer.Option("--to", help="结束（不含）/ Ends.")]
_Device = Annotated[str | None, typer.Option("--device", help="一台设备 / A device.")]
_Kind = Annotated[str | None, typer.Option("--kind", help="类别 / A kind.")]
_Community = Annotated[str | None, typer.Option("--community", help="小区 / A community.")]
_Building = Annotated[str | None, typer.Option("--building", help="小区内的楼栋 / A building of it.")]
_Tag = Annotated[str | None, typer.Option("--tag", help="标签 / A tag.")]
_Weekdays = Annotated[
    str | None,
    typer.Option("--weekdays", help="每周哪几天，1 为周一，如 1,4 / Weekdays, 1 is Monday, such as 1,4."),
]
_DailyFrom = Annotated[str | None, typer.Option("--daily-from", help="当地钟点，如 22:30 / Local time.")]
_DailyTo = Annotated[
    str | None, typer.Option("--daily-to", help="不晚于开始则为次日 / The next day unless later.")
]


@app.command("list")
def maintenance_list(
    community: Annotated[str | None, typer.Option("--community", help="小区 / Of a community.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="pending, recorded, refused, cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="最多列出的条数 / Most entries.")] = 100,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """列出维护记录，最近记录的在前 / List entries, recorded last first; none is ever deleted."""
    from pulse.commands import maintenance as command

    for line in command.listed(load(data_dir=data_dir), community, status, limit, as_json=as_json):
        typer.echo(line)


@app.command("preview")
def maintenance_preview(
    from_: _From,
    to: _To,
    device: _Device = None,
    kind: _Kind = None,
    community: _Community = None,
    building: _Building = None,
    tag: _Tag = None,
    weekdays: _Weekdays = None,
    daily_from: _DailyFrom = None,
    daily_to: _DailyTo = None,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """看一条记录会怎样改变指标，不保存 / Tell what an entry would change; nothing is saved."""
    from pulse.commands import maintenance as command

    reach = (device, kind, community, building, tag)
    wish = command.wish(reach, from_, to, command.NO_REASON, weekdays, daily_from, daily_to)
    for line in command.preview(load(data_dir=data_dir), wish, as_json=as_json):
        typer.echo(line)


@app.command("add")
def maintenance_add(
    from_: _From,
    to: _To,
    reason: _Why,
    device: _Device = None,
    kind: _Kind = None,
    community: _Community = None,
    building: _Building = None,
    tag: _Tag = None,
    weekdays: _Weekdays = None,
    daily_from: _DailyFrom = None,
    daily_to: _DailyTo = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="看过影响后不再询问 / Do not ask after the effect.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """记录维护；补记的先显示影响，待另一人批准 / Record one; a late one shows its effect and waits."""
    from pulse.commands import maintenance as command

    reach = (device, kind, community, building, tag)
    wish = command.wish(reach, from_, to, reason, weekdays, daily_from, daily_to)
    line = command.add(
        load(data_dir=data_dir),
        wish,
        typer.echo,
        lambda: yes or typer.confirm("保存，待另一人批准？ / Save it for another person to approve?"),
    )
    typer.echo(line or "没有保存 / nothing was saved")


@app.command("show")
def maintenance_show(entry: _Id, as_json: _Json = False, data_dir: DataDir = None) -> None:
    """一条记录，及待批准者会改变什么 / An entry, and what it would change if it waits for approval."""
    from pulse.commands import maintenance as command

    for line in command.effect(load(data_dir=data_dir), entry, as_json=as_json):
        typer.echo(line)


@app.command("approve")
def maintenance_approve(entry: _Id, data_dir: DataDir = None) -> None:
    """批准他人的补记，从此刻起生效 / Approve what another recorded late: it counts from now on."""
    from pulse.commands import maintenance as command

    typer.echo(command.approve(load(data_dir=data_dir), entry))


@app.command("refuse")
def maintenance_refuse(entry: _Id, reason: _Why, data_dir: DataDir = None) -> None:
    """驳回待批准的补记 / Say that what waits shall not count."""
    from pulse.commands import maintenance as command

    typer.echo(command.refuse(load(data_dir=data_dir), entry, reason))


@app.command("cancel")
def maintenance_cancel(entry: _Id, reason: _Why, data_dir: DataDir = None) -> None:
    """取消一条记录，从此刻起不再计 / Withdraw an entry whole, as known from now on."""
    from pulse.commands import maintenance as command

    typer.echo(command.cancel(load(data_dir=data_dir), entry, reason))

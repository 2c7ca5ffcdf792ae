"""The commands of policies: what was agreed with devices, by default, kind, community and device."""

from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

policy_app = typer.Typer(
    help="约定：心跳间隔、超时、迟到、时钟可信，按默认、类别、小区、设备 / "
    "Policies: interval, timeout, lateness, clock trust; by default, kind, community, device.",
    no_args_is_help=True,
)

_Device = Annotated[str | None, typer.Option("--device", help="设备编号 / Of a device.")]
_Community = Annotated[str | None, typer.Option("--community", help="小区编号 / Of a community.")]
_Kind = Annotated[str | None, typer.Option("--kind", help="类别编号 / Of a kind.")]
_Json = Annotated[bool, typer.Option("--json", help="每行一个 JSON / A JSON object a line.")]
_Seconds = "秒，或 inherit / Seconds, or inherit"


@policy_app.command("list")
def policy_list(
    scope: Annotated[
        str | None, typer.Option("--scope", help="只列 default、kind、community 或 device / Of this scope.")
    ] = None,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """列出现行约定，窄的优先于宽的 / List what is in force; the narrower goes before the wider."""
    from pulse.commands import policies as command

    for line in command.listed(load(data_dir=data_dir), scope, as_json=as_json):
        typer.echo(line)


@policy_app.command("history")
def policy_history(
    device: _Device = None,
    community: _Community = None,
    kind: _Kind = None,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """列出历次约定及现在由谁决定 / List every version declared, and whose word holds now.

    Without an option, of the default.
    """
    from pulse.commands import policies as command

    whose = command.Whose(device, community, kind)
    for line in command.history(load(data_dir=data_dir), whose, as_json=as_json):
        typer.echo(line)


@policy_app.command("set")
def policy_set(
    device: _Device = None,
    community: _Community = None,
    kind: _Kind = None,
    interval: Annotated[str | None, typer.Option("--interval", help=f"心跳间隔：{_Seconds}.")] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", help=f"超时：{_Seconds}.")] = None,
    max_lateness: Annotated[
        str | None, typer.Option("--max-lateness", help=f"缓存补传最多迟到：{_Seconds}.")
    ] = None,
    clock: Annotated[
        str | None, typer.Option("--clock", help="trusted、untrusted 或 inherit / The device's clock.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="从何时起，默认现在 / From when on, now by default.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="理由，记入审计 / Why, for the audit log.")] = "",
    data_dir: DataDir = None,
) -> None:
    """设置约定，从现在（或更晚）起；过去不变 / Set a policy from now (or later) on; the past stays.

    Without --device, --community or --kind, the default. What is not given stays as it is.
    """
    from pulse.commands import policies as command

    said = command.Said(interval, timeout, max_lateness, clock)
    typer.echo(
        command.put(load(data_dir=data_dir), command.Whose(device, community, kind), said, from_, reason)
    )


@policy_app.command("suggest")
def policy_suggest(
    device: _Device = None,
    community: _Community = None,
    kind: _Kind = None,
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="最近几天 / Look at so many days.")] = 7,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """由设备的实际表现建议约定，从不自行采用 / Suggest policies from what devices really did; applies none.

    Rhythm, gaps beyond the timeout, clock, buffered delivery; with the command that would apply each.
    """
    from pulse.commands.policies import Whose
    from pulse.commands.suggesting import shown

    for line in shown(load(data_dir=data_dir), Whose(device, community, kind), days, as_json=as_json):
        typer.echo(line)

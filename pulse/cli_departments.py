"""The commands of simulated departments."""

from pathlib import Path
from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

app = typer.Typer(
    help="模拟接收数据的部门，可令其出错、变慢、停止 / Simulated departments that receive shared data.",
    invoke_without_command=True,
)

_State = Annotated[
    Path | None,
    typer.Option(
        "--state", help="保存所收内容的目录，不给则只在内存 / Folder of what is kept; in memory if not given."
    ),
]
_Each = "可重复 / may be repeated"


@app.callback()
def departments(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help="部门描述 (YAML)，见 docs/departments / Description, see docs/departments."
        ),
    ] = None,
    http: Annotated[
        list[str] | None,
        typer.Option("--http", metavar="ID=PORT", help=f"HTTP 接收 / A receiver over HTTP; {_Each}."),
    ] = None,
    mqtt: Annotated[
        list[str] | None,
        typer.Option("--mqtt", metavar="ID=BROKER", help=f"MQTT 5 订阅 / An MQTT 5 subscriber; {_Each}."),
    ] = None,
    pull: Annotated[
        list[str] | None,
        typer.Option("--pull", metavar="ID=ADDRESS", help=f"从此地址拉取 / Pulls from there; {_Each}."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="ID=FILE", help=f"验签密钥 / Key to verify with; {_Each}."),
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option("--token", metavar="ID=FILE", help=f"访问令牌文件 / File of its API token; {_Each}."),
    ] = None,
    state: _State = None,
    control_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="控制端口，0 为任意 / Port of the control endpoint; 0: any free one."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="各部门都收到一次后结束 / End once each has got one delivery.")
    ] = False,
    for_s: Annotated[
        float | None,
        typer.Option("--for", min=0, metavar="SECONDS", help="多少秒后结束 / End after seconds."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="结束时输出 JSON / What was received, as JSON, at the end.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="不逐条显示 / Nothing while it runs.")] = False,
) -> None:
    """模拟接收数据的部门 / Simulate departments that receive shared data, until Ctrl-C.

    Over HTTP, over MQTT 5, by pulling; signatures and digests are checked, what was accepted is kept and told
    at the end.
    """
    if context.invoked_subcommand is not None:
        return
    from pulse.commands import departments as command

    given = command.Given(file, http or [], mqtt or [], pull or [], key or [], token or [], control_port)
    command.run(given, state=state, once=once, for_s=for_s, as_json=as_json, quiet=quiet)


@app.command("control")
def control(
    department: Annotated[
        str | None,
        typer.Argument(metavar="[DEPARTMENT]", help="部门，不给则列出全部 / Which; none: list all."),
    ] = None,
    do: Annotated[
        str | None,
        typer.Argument(
            metavar="[BEHAVIOUR]",
            help="start, stop, status, close, slow, lost, forget, redirect, future, report: 行为 / what.",
        ),
    ] = None,
    status: Annotated[int, typer.Option(min=200, max=599, help="回答的状态 / Status to answer.")] = 500,
    delay_s: Annotated[
        float, typer.Option("--delay", min=0, help="等待的秒数 / Seconds that slow waits.")
    ] = 5.0,
    for_s: Annotated[
        float | None,
        typer.Option("--for", min=0, metavar="SECONDS", help="持续的秒数 / For how many seconds."),
    ] = None,
    state: Annotated[
        Path, typer.Option("--state", help="正在运行的部门的目录 / Folder of the running departments.")
    ] = Path("demo-data/departments"),
    address: Annotated[
        str | None, typer.Option("--address", help="控制地址，如 http://127.0.0.1:9100 / Control endpoint.")
    ] = None,
) -> None:
    """告诉正在运行的模拟部门怎样做 / Tell running simulated departments how to behave.

    By default those of a demo started in this folder.
    """
    from pulse.commands import departments as command

    for line in command.control(address, state, department, do, status=status, delay_s=delay_s, for_s=for_s):
        typer.echo(line)


def reconcile(
    outlet: Annotated[str, typer.Argument(metavar="OUTLET", help="出口编号 / Id of the outlet.")],
    day: Annotated[
        str | None, typer.Option("--day", help="本地日期，默认今天 / A local day, today by default.")
    ] = None,
    deliver_again: Annotated[
        bool,
        typer.Option("--deliver-again", help="重新投递对方缺少的 / Deliver again what is lacking."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")] = False,
    data_dir: DataDir = None,
) -> None:
    """对账：我方已投递、对方所持、差异 / What we delivered, what the department holds, and the difference.

    The department reports what it holds over the API; docs/departments.md says how.
    """
    from pulse.commands import reconcile as command

    settings = load(data_dir=data_dir)
    for line in command.reconciled(settings, outlet, day, again=deliver_again, as_json=as_json):
        typer.echo(line)

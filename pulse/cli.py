"""The command line: thin, one function a command; each hands over to a module of `pulse.commands`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pulse import (
    __version__,
    cli_access,
    cli_catalogue,
    cli_coverage,
    cli_departments,
    cli_indicators,
    cli_lives,
    cli_maintenance,
    cli_policies,
    cli_sharing,
    helppages,
    logs,
)
from pulse.errors import BadInput, PulseError
from pulse.options import DataDir
from pulse.settings import Settings, load

app = typer.Typer(
    name="pulse",
    help="社区脉搏：智慧社区设备在线率与数据共享，可解释、可复算、可证明。\n\n"
    "Community Pulse: device online rate and data sharing of smart communities, "
    "explained, recomputed and proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
registry_app = typer.Typer(
    help="登记册：设备、社区、类别、计划数量 / The registry: devices, communities, kinds, plans.",
    no_args_is_help=True,
)
app.add_typer(registry_app, name="registry")
credentials_app = typer.Typer(
    help="设备的 MQTT 口令：只显示一次，只存散列 / Devices' MQTT passwords: shown once, kept as hashes.",
    no_args_is_help=True,
)
cli_lives.app.add_typer(credentials_app, name="credentials")
app.add_typer(cli_lives.app, name="device")
app.add_typer(cli_access.user_app, name="user")
app.add_typer(cli_access.token_app, name="token")
app.add_typer(cli_access.audit_app, name="audit")
app.command("coverage")(cli_coverage.coverage)
app.add_typer(cli_coverage.incidents_app, name="incidents")
app.add_typer(cli_indicators.indicators_app, name="indicators")
app.add_typer(cli_maintenance.app, name="maintenance")
app.add_typer(cli_policies.policy_app, name="policy")
app.add_typer(cli_departments.app, name="simulate-departments")
app.add_typer(cli_catalogue.catalogue_app, name="catalogue")
app.add_typer(cli_sharing.outlet_app, name="outlet")
cli_sharing.outlet_app.command("reconcile")(cli_departments.reconcile)
app.add_typer(cli_sharing.sharing_app, name="sharing")
certificates_app = typer.Typer(
    help="自建 CA 与证书，用于 mqtts:// 与 https:// / A CA of your own for mqtts:// and https://.",
    no_args_is_help=True,
)
app.add_typer(certificates_app, name="certificates")


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


HttpPort = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="网页与接口的端口 / Port of pages and API.")
]


@app.command()
def demo(
    data_dir: Annotated[Path, typer.Option(help="数据目录 / Data folder.")] = Path("demo-data"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="网页与接口的端口 / Port of pages and API; 0: any free one.")
    ] = 8000,
    mqtt_port: Annotated[
        int, typer.Option(min=0, max=65535, help="MQTT 端口 / Port of MQTT; 0: any free one.")
    ] = 1883,
    devices: Annotated[int, typer.Option(min=7, help="设备数量 / Number of devices.")] = 826,
    seed: Annotated[int, typer.Option(help="随机种子 / Random seed.")] = 2020,
    history: Annotated[bool, typer.Option(help="七天历史 / Seven days of history.")] = True,
    time_scale: Annotated[
        float,
        typer.Option(
            min=1.0, help="间隔与超时缩短的倍数，供测试 / Shortens intervals and timeouts, for tests."
        ),
    ] = 1.0,
    embedded_broker: Annotated[
        bool, typer.Option("--embedded-broker", help="不用 mosquitto / Do not use a mosquitto.")
    ] = False,
    departments: Annotated[
        bool, typer.Option(help="接收共享数据的模拟部门 / Simulated departments that receive shared data.")
    ] = True,
) -> None:
    """演示：模拟 826 台设备的实时在线率 / Demo: the live online rate of 826 simulated devices.

    Starts a broker, the collector, the API and pages, and simulators as real MQTT clients. Ctrl-C ends it;
    started again on the same folder it goes on where it ended. The data is simulated and says so.
    """
    from pulse.commands import demo as command

    command.run(
        command.Choices(
            data_dir, port, mqtt_port, devices, seed, history, time_scale, embedded_broker, departments
        )
    )


@app.command()
def serve(data_dir: DataDir = None, port: HttpPort = None) -> None:
    """一个进程运行全部部件 / Everything in one process: collector, API, pages, scheduler.

    Starts a broker of its own on 127.0.0.1 if PULSE_MQTT_URL is not set.
    """
    from pulse.commands import serve as command

    command.serve(_settings(data_dir=data_dir, http_port=port))


@app.command()
def collector(data_dir: DataDir = None) -> None:
    """只运行采集器 / The collector alone: takes heartbeats from PULSE_MQTT_URL.

    One per installation; separate processes share a PostgreSQL at PULSE_DATABASE_URL.
    """
    from pulse.commands import serve as command

    command.collector(_settings(data_dir=data_dir))


@app.command()
def api(data_dir: DataDir = None, port: HttpPort = None) -> None:
    """只运行接口与网页 / The API and pages alone."""
    from pulse.commands import serve as command

    command.api(_settings(data_dir=data_dir, http_port=port))


@app.command()
def scheduler(data_dir: DataDir = None) -> None:
    """只运行定时任务 / The scheduler alone: the minute's published value, retention."""
    from pulse.commands import serve as command

    command.scheduler(_settings(data_dir=data_dir))


@app.command()
def simulate(
    broker: Annotated[
        str, typer.Option("--broker", help="地址，如 mqtt://127.0.0.1:1883 / Address of the broker.")
    ],
    seed: Annotated[int, typer.Option(help="随机种子 / Random seed.")] = 2020,
    scenario: Annotated[
        Path | None, typer.Option(help="场景文件，见 docs/scenarios / Scenario file, see docs/scenarios.")
    ] = None,
    devices: Annotated[int | None, typer.Option(min=7, help="设备数量 / Number of devices.")] = None,
    time_scale: Annotated[
        float, typer.Option(min=1.0, help="间隔与超时缩短的倍数 / Shortens intervals and timeouts.")
    ] = 1.0,
    passwords: Annotated[
        Path | None, typer.Option(help="设备口令文件 / File of the devices' passwords.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="mqtts:// 的 CA 证书 / CA certificates for mqtts://.")
    ] = None,
    certificates: Annotated[
        Path | None,
        typer.Option(help="设备证书目录，含 ID.pem 与 ID-key.pem / Folder of the devices' certificates."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="不显示进度 / No progress.")] = False,
) -> None:
    """模拟设备，每台一个真实的 MQTT 连接 / Simulate the fleet, one real MQTT connection a device."""
    from pulse.commands import simulate as command

    command.run(
        broker,
        seed=seed,
        scenario=scenario,
        devices=devices,
        time_scale=time_scale,
        passwords=passwords,
        ca_file=ca_file,
        certificates=certificates,
        quiet=quiet,
    )


@app.command()
def replay(file: Annotated[Path, typer.Argument(help="复算文件 / The replay file.")]) -> None:
    """由消息、覆盖、登记与维护记录复算 / Recompute a file's queries from its messages and records.

    Prints {"answers": […]}. The form of the file is described in docs/ledger.md; what is wrong with a file
    is named by its place, with exit status 2.
    """
    from pulse.commands import replay as command

    sys.stdout.buffer.write(command.run(file) + b"\n")


@app.command()
def quarantine(
    limit: Annotated[int, typer.Option(min=1, help="最多列出的条数 / Most entries to list.")] = 20,
    reason: Annotated[str | None, typer.Option(help="只列这个原因 / Only of this reason.")] = None,
    data_dir: DataDir = None,
) -> None:
    """列出未能接收的消息及原因 / List the messages that could not be accepted, and why."""
    from pulse.commands import quarantine as command

    for line in command.listed(_settings(data_dir=data_dir), limit, reason):
        typer.echo(line)


@app.command()
def spool(
    as_json: Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")] = False,
    data_dir: DataDir = None,
) -> None:
    """缓冲：等待入库的消息、速率、何时清空 / The spool: what waits, rates, when it is drained."""
    from pulse.commands import spool as command

    for line in command.shown(_settings(data_dir=data_dir), as_json=as_json):
        typer.echo(line)


@app.command()
def statistics(
    from_: Annotated[
        str | None, typer.Option("--from", help="开始，默认 30 天前 / Beginning, by default 30 days ago.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="结束，默认现在 / End, now by default.")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="按当时所知 / By what was known then; now by default.")
    ] = None,
    community: Annotated[str | None, typer.Option(help="只限这个小区 / This community only.")] = None,
    kind: Annotated[str | None, typer.Option(help="只限这个类别 / This kind only.")] = None,
    threshold: Annotated[
        str, typer.Option(help="可用率阈值，百分数 / Availability to reach, percent.")
    ] = "95",
    worst: Annotated[
        int, typer.Option(min=0, help="列出停止最久的设备数 / How many of the worst devices to list.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")] = False,
    data_dir: DataDir = None,
) -> None:
    """统计：可用率、中断、失效间隔、恢复时间、抖动 / Availability, outages, MTBF, MTTR, flapping.

    Of all devices, communities and kinds over a period; docs/statistics.md defines every figure.
    """
    from pulse.commands import statistics as command

    asked = command.Asked(from_, to, known_at, community, kind, threshold, worst)
    for line in command.shown(_settings(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)


@app.command()
def rate(
    at: Annotated[str | None, typer.Option(help="时刻，默认现在 / A moment, now by default.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="时段开始 / Beginning of a period.")] = None,
    to: Annotated[str | None, typer.Option(help="时段结束 / End of a period.")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="按当时所知 / By what was known then; now by default.")
    ] = None,
    community: Annotated[str | None, typer.Option(help="只限这个小区 / This community only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")] = False,
    data_dir: DataDir = None,
) -> None:
    """在线率：现在、任一时刻或时段，按任何时候所知 / The online rate at any moment, as known at any time.

    With every state, the planned quantity, the timeouts in force, and how much became known too late.
    """
    from pulse.commands import rate as command

    asked = command.Asked(at, from_, to, known_at, community)
    for line in command.shown(_settings(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)


@app.command()
def recompute(
    from_: Annotated[
        str | None, typer.Option("--from", help="开始，默认一小时前 / Beginning, an hour ago by default.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="结束，默认现在 / End, now by default.")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="按当时所知 / By what was known then; now by default.")
    ] = None,
    community: Annotated[str | None, typer.Option(help="只限这个小区 / This community only.")] = None,
    device: Annotated[str | None, typer.Option(help="只限这台设备 / This device only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")] = False,
    data_dir: DataDir = None,
) -> None:
    """由保存的原始消息重算在线率，与状态区间逐台对照 / Work the rate out again from the raw messages.

    Compares with the intervals device by device; exit status 1 if they differ. Says from when on messages
    are still kept, and what of the period they can no longer prove.
    """
    from pulse.commands import recompute as command

    asked = command.Asked(from_, to, known_at, community, device)
    lines, agrees = command.shown(_settings(data_dir=data_dir), asked, as_json=as_json)
    for line in lines:
        typer.echo(line)
    if not agrees:
        raise typer.Exit(1)


@app.command()
def explain(
    from_: Annotated[
        str | None, typer.Option("--from", help="开始，默认一天前 / Beginning, a day ago by default.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="结束，默认现在 / End, now by default.")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="“现在所知”的时间 / The time of what is known; now by default.")
    ] = None,
    community: Annotated[str | None, typer.Option(help="只限这个小区 / This community only.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="最多列出的设备 / Most devices to list.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")] = False,
    data_dir: DataDir = None,
) -> None:
    """公布值与现在所知为何不同，逐台、逐个原因 / Why what was published differs from what is known now.

    Device by device, each with its reason: late data, coverage corrected, maintenance recorded, registry
    corrected. The reasons add up to the difference.
    """
    from pulse.commands import explain as command

    asked = command.Asked(from_, to, known_at, community, limit)
    for line in command.shown(_settings(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)


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

    typer.echo(command.imported(_settings(data_dir=data_dir), file, what, dry_run=dry_run, prefix=prefix))


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

    sys.stdout.buffer.write(command.exported(_settings(data_dir=data_dir), what, known_at).encode())


_Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="设备编号 / Device ids.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", help="写入新文件 (0600)，不在屏幕上显示 / Write to a new file, mode 0600."),
]
_InCommunity = Annotated[
    str | None, typer.Option("--community", help="只限这个社区 / Devices of this community.")
]


@credentials_app.command("issue")
def credentials_issue(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="设备编号 / Device ids.")] = None,
    all_missing: Annotated[
        bool, typer.Option("--all-missing", help="所有从未有过口令的设备 / Every device that never had one.")
    ] = False,
    community: _InCommunity = None,
    out: _Out = None,
    data_dir: DataDir = None,
) -> None:
    """发放口令，输出 设备:口令 各一行 / Issue passwords; prints lines `device:password`, once."""
    from pulse.commands import devices as command

    settings = _settings(data_dir=data_dir)
    command.issue(settings, ids or [], all_missing=all_missing, community=community, out=out)


@credentials_app.command("rotate")
def credentials_rotate(ids: _Ids, out: _Out = None, data_dir: DataDir = None) -> None:
    """更换口令，旧口令随即失效 / Replace passwords; the former ones are invalid at once."""
    from pulse.commands import devices as command

    command.rotate(_settings(data_dir=data_dir), ids, out=out)


@credentials_app.command("revoke")
def credentials_revoke(ids: _Ids, data_dir: DataDir = None) -> None:
    """撤销口令，连接随即断开 / Revoke passwords; mosquitto ends the connections made with them."""
    from pulse.commands import devices as command

    command.revoke(_settings(data_dir=data_dir), ids)


@credentials_app.command("list")
def credentials_list(community: _InCommunity = None, data_dir: DataDir = None) -> None:
    """列出各设备有无口令 / List which devices have one, never the password."""
    from pulse.commands import devices as command

    for line in command.listed(_settings(data_dir=data_dir), community):
        typer.echo(line)


@credentials_app.command("write")
def credentials_write(data_dir: DataDir = None) -> None:
    """由数据库重写 Mosquitto 的文件 / Write the broker's files again from the database."""
    from pulse.commands import devices as command

    command.write(_settings(data_dir=data_dir))


_Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="证书目录，默认在数据目录中 / Folder; in the data folder if not given."),
]
_Hosts = Annotated[
    list[str], typer.Option("--host", help="主机名或 IP，可重复 / Host name or IP, repeatable.")
]
_GroupReads = Annotated[
    bool, typer.Option("--group-reads", help="同组用户可读私钥 / The key's group may read it.")
]


@certificates_app.command("ca")
def certificates_ca(folder: _Folder = None, data_dir: DataDir = None) -> None:
    """建立 CA，十年有效 / Make the CA, valid for ten years; an existing one is never overwritten."""
    from pulse.commands import certificates as command

    typer.echo(command.ca(_settings(data_dir=data_dir), folder))


@certificates_app.command("server")
def certificates_server(
    host: _Hosts, group_reads: _GroupReads = False, folder: _Folder = None, data_dir: DataDir = None
) -> None:
    """签发服务器证书 / Sign a certificate for a broker or the pages, valid for 397 days."""
    from pulse.commands import certificates as command

    typer.echo(command.server(_settings(data_dir=data_dir), folder, host, group_reads=group_reads))


@certificates_app.command("device")
def certificates_device(ids: _Ids, folder: _Folder = None, data_dir: DataDir = None) -> None:
    """签发设备证书 / Sign devices' client certificates, valid for 825 days; the common name is the id."""
    from pulse.commands import certificates as command

    for line in command.device(_settings(data_dir=data_dir), folder, ids):
        typer.echo(line)


@certificates_app.command("keep")
def certificates_keep(
    host: _Hosts, group_reads: _GroupReads = False, folder: _Folder = None, data_dir: DataDir = None
) -> None:
    """缺则建立，将到期则续签 / Make CA and server certificate where missing, renew 30 days before the end."""
    from pulse.commands import certificates as command

    for line in command.keep(_settings(data_dir=data_dir), folder, host, group_reads=group_reads):
        typer.echo(line)


def _settings(**overrides: object) -> Settings:
    return load(**overrides)

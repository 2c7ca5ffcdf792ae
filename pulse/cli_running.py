"""The commands that run something: the installation, its parts, the demo, simulated devices."""

from pathlib import Path
from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

HttpPort = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="网页与接口的端口 / Port of pages and API.")
]


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


def serve(data_dir: DataDir = None, port: HttpPort = None) -> None:
    """一个进程运行全部部件 / Everything in one process: collector, API, pages, scheduler.

    Starts a broker of its own on 127.0.0.1 if PULSE_MQTT_URL is not set.
    """
    from pulse.commands import serve as command

    command.serve(load(data_dir=data_dir, http_port=port))


def collector(data_dir: DataDir = None) -> None:
    """只运行采集器 / The collector alone: takes heartbeats from PULSE_MQTT_URL.

    One per installation; separate processes share a PostgreSQL at PULSE_DATABASE_URL.
    """
    from pulse.commands import serve as command

    command.collector(load(data_dir=data_dir))


def api(data_dir: DataDir = None, port: HttpPort = None) -> None:
    """只运行接口与网页 / The API and pages alone."""
    from pulse.commands import serve as command

    command.api(load(data_dir=data_dir, http_port=port))


def scheduler(data_dir: DataDir = None) -> None:
    """只运行定时任务 / The scheduler alone: the minute's published value, retention."""
    from pulse.commands import serve as command

    command.scheduler(load(data_dir=data_dir))


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

"""`pulse device credentials …`: the devices' passwords of the broker."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from pulse.access import devices
from pulse.access.devices import Issued, Standing
from pulse.broker.publishing import Outcome, publish
from pulse.clock import SystemClock, to_iso
from pulse.commands.operating import database, operator
from pulse.errors import BadInput, PulseError
from pulse.settings import Settings
from pulse.stores.relational.database import Database

_SAID = {
    Outcome.NONE: "未设置 PULSE_BROKER_DIR，未写入 Mosquitto 的文件 / PULSE_BROKER_DIR is not set, so no "
    "broker's files were written",
    Outcome.WRITTEN: "已写入 Mosquitto 的口令与权限文件 / the broker's files were written",
    Outcome.RELOADED: "已写入 Mosquitto 的文件并已生效 / the broker's files were written and are in force",
    Outcome.OPEN: "正在运行的 pulse serve 尚不要求口令，重新启动后生效 / the broker of the running "
    "`pulse serve` lets everybody in until `pulse serve` is started again",
}


def issue(
    settings: Settings, ids: Sequence[str], *, all_missing: bool, community: str | None, out: Path | None
) -> None:
    """Issue passwords to the devices named, or to all that never had one (of a community)."""
    if sum((bool(ids), all_missing, community is not None)) != 1:
        raise BadInput(
            "给出设备编号，或 --all-missing，或 --community / "
            "give device ids, or --all-missing, or --community"
        )
    with database(settings) as db:
        with _output(out) as file, db.write() as connection:
            now_us = SystemClock().now_us()
            if ids:
                made = devices.issue(connection, operator(), ids, now_us)
            else:
                made = devices.issue_missing(connection, operator(), now_us, community=community)
            _tell(made, file)
        _publish(db, settings)


def rotate(settings: Settings, ids: Sequence[str], *, out: Path | None) -> None:
    """Replace the passwords of the devices named."""
    with database(settings) as db:
        with _output(out) as file, db.write() as connection:
            _tell(devices.rotate(connection, operator(), ids, SystemClock().now_us()), file)
        _publish(db, settings)


def revoke(settings: Settings, ids: Sequence[str]) -> None:
    """Make the passwords of the devices named invalid."""
    with database(settings) as db:
        with db.write() as connection:
            revoked = devices.revoke(connection, operator(), ids, SystemClock().now_us())
        typer.echo(f"已撤销 {len(revoked)} 台设备的口令 / {len(revoked)} revoked", err=True)
        _publish(db, settings)


def listed(settings: Settings, community: str | None) -> Iterator[str]:
    """A line for each device: how it stands, which password it is, since when."""
    with database(settings) as db, db.read() as connection:
        for standing in devices.listing(connection, operator(), SystemClock().now_us(), community=community):
            yield _line(standing)


def write(settings: Settings) -> None:
    """Write the broker's files again from the database and have it reload."""
    with database(settings) as db:
        _publish(db, settings)


def _line(standing: Standing) -> str:
    state = "有效/valid" if standing.valid else "已撤销/revoked" if standing.issued_us else "无/none"
    since = standing.revoked_us or standing.issued_us
    return "  ".join(
        (
            standing.device,
            f"{standing.community}/{standing.kind}",
            state,
            *((f"#{standing.generation}", to_iso(since)) if since else ()),
            *(("已退役/retired",) if standing.retired else ()),
        )
    )


def _tell(made: Sequence[Issued], file: int | None) -> None:
    """Lines `device:password`; told before the change is kept, so that none is kept that nobody was told."""
    text = "".join(f"{issued.device}:{issued.password}\n" for issued in made)
    if file is None:
        typer.echo(text, nl=False)
    else:
        data = text.encode()
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    typer.echo(f"{len(made)} 台设备 / {len(made)} devices", err=True)


def _publish(db: Database, settings: Settings) -> None:
    try:
        outcome = publish(db, settings)
    except PulseError as error:
        raise PulseError(
            "数据库已更改，但 MQTT 服务器的文件未更新，请再运行 pulse device credentials write / the change "
            "is in the database but not in the broker's files, run `pulse device credentials write`: "
            f"{error}"
        ) from error
    typer.echo(_SAID[outcome], err=True)


@contextlib.contextmanager
def _output(out: Path | None) -> Iterator[int | None]:
    """A new file for its owner only, removed again when the change is not made; None is standard output."""
    if out is None:
        yield None
        return
    try:
        file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadInput(f"cannot be made: {error.strerror}", where=f"--out {out}") from error
    try:
        yield file
    except BaseException:
        out.unlink()
        raise
    finally:
        os.close(file)

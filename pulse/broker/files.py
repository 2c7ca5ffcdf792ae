"""Password and access file of one broker in one folder: replaced whole, under a lock, the broker told after.

The password file is ours. Of what stands in it only users whose names begin with `_` are kept: service users
of the installation, which no device can be named like. Every other line is a device of the database.
"""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from pulse.broker import passwords
from pulse.errors import BadInput, PulseError, StoreUnavailable
from pulse.stores.relational.filelock import FileLock

WAIT_S = 30.0
_WHERE = "PULSE_BROKER_DIR"
_PID_WHERE = "PULSE_BROKER_PID"


class Own(NamedTuple):
    """The broker that `pulse serve` runs: its process and whether it asks for passwords."""

    pid: int
    mosquitto: bool
    asks: bool


class BrokerFiles:
    """The files of one folder, which has to exist.

    A file keeps the owner and mode that it has. A new one is its owner's only, or can be read by the group
    where the group may read the folder: that is how a broker under another user reads it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passwords = folder / "passwords"
        self.acl = folder / "acl"
        self._own = folder / "own.json"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold off other writers, in this process and others. Read the database inside, not before."""
        if not self.folder.is_dir():
            raise BadInput(f"{self.folder} 不是目录 / is no folder; make it", where=_WHERE)
        with FileLock(self.folder / "lock").held(WAIT_S):
            yield

    def write(self, devices: Mapping[str, str], services: Mapping[str, str] | None = None) -> None:
        """Write both files: `devices` are entries `$7$…` by device, `services` replace service users.

        Only while the folder is `held`. Raises `StoreUnavailable` where the folder cannot be written.
        """
        entries = self._service_users() | dict(services or {})
        try:
            # The broker may read at any moment: rules first, so that nobody comes in without them.
            replace_whole(self.acl, access_rules())
            replace_whole(self.passwords, passwords.rendered(entries | dict(devices)))
        except OSError as error:
            raise StoreUnavailable(f"cannot write the broker's files in {self.folder}: {error}") from error

    def _service_users(self) -> dict[str, str]:
        if not self.passwords.exists():
            return {}
        kept = passwords.read(self.passwords)
        return {user: entry for user, entry in kept.items() if user.startswith("_")}

    def set_own(self, own: Own | None) -> None:
        """Note the broker that runs on this folder; None when it has ended."""
        if own is None:
            self._own.unlink(missing_ok=True)
        else:
            replace_whole(self._own, json.dumps(own._asdict()))

    def own(self) -> Own | None:
        """The broker that was noted, None if there is none or its process is gone."""
        try:
            own = Own(**json.loads(self._own.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return own if _program(own.pid) is not None else None


def access_rules() -> str:
    """The access file: who may write and read which topics."""
    return resources.files("pulse.broker").joinpath("acl").read_text(encoding="utf-8")


def replace_whole(path: Path, text: str, mode: int | None = None) -> None:
    """Put `text` in the place of the file: whoever reads sees the old or the new whole, after a crash too.

    `mode` None: as the class says. Raises `OSError`.
    """
    new = path.with_name(path.name + ".new")
    owner = None
    with contextlib.suppress(FileNotFoundError):
        before = path.stat()
        owner = (before.st_uid, before.st_gid)
        mode = before.st_mode & 0o777 if mode is None else mode
    if mode is None:
        mode = 0o600 | (path.parent.stat().st_mode & 0o040)
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        if owner is not None:
            try:
                os.fchown(file.fileno(), *owner)
            except PermissionError:
                # Only root gives files away; the group, by which the broker reads, can be kept.
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), -1, owner[1])
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def process_id(said: str) -> int:
    """The number, or the number in the file of that name. Raises `BadInput` naming the setting."""
    text = said.strip()
    if not text.isdecimal():
        try:
            text = Path(text).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot be read: {error}", where=_PID_WHERE) from error
    if not text.isdecimal() or int(text) <= 1:
        raise BadInput(f"{text!r} is no process id, nor a file with one", where=_PID_WHERE)
    return int(text)


def reload(pid: int, kill: Callable[[int, int], None] = os.kill) -> None:
    """Have the mosquitto with that process id read its files again; whom they still know stays connected.

    To any other program the signal would mean the end, so it gets none. Raises `PulseError`.
    """
    program = _program(pid)
    if program is None:
        raise PulseError(
            f"{_PID_WHERE}: 没有进程 / no process {pid}; the broker reads its files when it starts"
        )
    if program not in {"", "mosquitto"}:
        raise PulseError(f"{_PID_WHERE}: process {pid} is {program}, no mosquitto; it was not signalled")
    try:
        kill(pid, signal.SIGHUP)
    except OSError as error:
        raise PulseError(f"{_PID_WHERE}: cannot signal process {pid}: {error.strerror}") from error


def _program(pid: int) -> str | None:
    """The name of a process's program, "" where the machine does not tell, None if there is no process."""
    if not Path("/proc/self/comm").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return ""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None

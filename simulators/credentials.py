"""The passwords of a simulated fleet: issued like any device's, and kept in a file for the simulators."""

from pathlib import Path

from sqlalchemy import Connection

from pulse.access import devices
from pulse.access.roles import Actor
from pulse.broker import passwords
from pulse.broker.files import replace_whole
from pulse.errors import BadInput
from pulse.stores.relational import credentials
from simulators.fleet import Fleet
from simulators.main import load_passwords


def provide(connection: Connection, actor: Actor, fleet: Fleet, path: Path, now_us: int) -> int:
    """Make the file at `path` hold the valid password of every device of the fleet; gives how many are new.

    What the file knows already stays; what it lost, or what is no longer right, is issued anew. The file is
    its owner's only. Raises `BadInput` where it cannot be written.
    """
    known = dict(load_passwords(path)) if path.exists() else {}
    valid = {c.device: c.entry for c in credentials.all_of(connection) if c.revoked_us is None}
    wrong = [
        device.id
        for device in fleet.devices
        if device.id not in valid or not passwords.matches(known.get(device.id, ""), valid[device.id])
    ]
    made = devices.rotate(connection, actor, [device for device in wrong if device in valid], now_us)
    made += devices.issue(connection, actor, [device for device in wrong if device not in valid], now_us)
    known |= {issued.device: issued.password for issued in made}
    ours = {device.id for device in fleet.devices}
    if made or not path.exists():
        lines = [f"{device}:{password}\n" for device, password in sorted(known.items()) if device in ours]
        try:
            # Before the transaction ends: of a password that was not kept the next start makes another.
            replace_whole(path, "".join(lines), mode=0o600)
        except OSError as error:
            raise BadInput(f"cannot be written: {error.strerror}", where=str(path)) from error
    path.chmod(0o600)
    return len(made)

"""MQTT passwords of devices: issued, rotated, revoked; told once, kept as hashes, each with its audit entry.

The broker learns of a change by `pulse.broker.publishing.publish`, to be called once the transaction is done.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from pulse.access.roles import Actor
from pulse.access.secrets import new_secret
from pulse.broker import passwords
from pulse.errors import Conflict, NotFound
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import audit, credentials, registry
from pulse.stores.relational.credentials import DeviceCredential


class Issued(NamedTuple):
    """A device's new password, told now and never again; `generation` counts those that it ever had."""

    device: str
    password: str
    generation: int


class Standing(NamedTuple):
    """How a device stands. `issued_us` None: it never had a password; `revoked_us` None: it is valid."""

    device: str
    community: str
    kind: str
    retired: bool
    generation: int
    issued_us: int | None
    revoked_us: int | None

    @property
    def valid(self) -> bool:
        """Whether it has a password that the broker takes."""
        return self.issued_us is not None and self.revoked_us is None


def issue(connection: Connection, actor: Actor, devices: Iterable[str], now_us: int) -> list[Issued]:
    """Give each device its first password, or a new one after it was revoked.

    All or none. Raises `NotFound` for a device that is not registered (or not the actor's to see) and
    `Conflict` for one that is retired or has a valid password.
    """
    return [_issue(connection, actor, device, now_us) for device in _known(connection, actor, devices)]


def issue_missing(
    connection: Connection, actor: Actor, now_us: int, *, community: str | None = None
) -> list[Issued]:
    """Give a password to every device that never had one and is not retired, of one community or of all.

    A device whose password was revoked gets none: somebody had a reason. Raises `NotFound` for a community
    that does not exist (or is not the actor's to see).
    """
    missing = [
        s.device
        for s in listing(connection, actor, now_us, community=community)
        if not s.generation and not s.retired
    ]
    return issue(connection, actor, missing, now_us)


def rotate(connection: Connection, actor: Actor, devices: Iterable[str], now_us: int) -> list[Issued]:
    """Give each device another password; the former one is invalid once the broker has been told.

    All or none. Raises `NotFound`, and `Conflict` for a device that is retired or has no valid password.
    """
    made = []
    for device in _known(connection, actor, devices):
        before = credentials.of(connection, device.id)
        _check_in_service(device, now_us)
        if before is None or before.revoked_us is not None:
            raise Conflict(
                f"{device.id} 没有有效口令，请用 issue / has no valid password to replace; use `issue`"
            )
        made.append(_put(connection, actor, "rotate", device, before, now_us))
    return made


def revoke(connection: Connection, actor: Actor, devices: Iterable[str], now_us: int) -> list[str]:
    """Make each device's password invalid; gives the devices, once each.

    All or none; retired devices too. Raises `NotFound`, and `Conflict` for a device without a valid password.
    """
    revoked = []
    for device in _known(connection, actor, devices):
        before = credentials.of(connection, device.id)
        if before is None or not credentials.revoke(connection, device.id, now_us):
            raise Conflict(f"{device.id} 没有有效口令 / has no valid password to revoke")
        said = _said(before)
        _append(connection, actor, "revoke", device, said, said | {"revoked": True}, now_us)
        revoked.append(device.id)
    return revoked


def listing(
    connection: Connection, actor: Actor, now_us: int, *, community: str | None = None
) -> list[Standing]:
    """How every device stands that the actor sees, by id. Raises `NotFound` as `issue_missing` does."""
    if community is not None and not (
        actor.sees(community) and community in {c.id for c in registry.communities(connection)}
    ):
        raise NotFound(f"没有这个社区 / there is no community {community}")
    issued = {c.device: c for c in credentials.all_of(connection)}
    return [
        _standing(device, issued.get(device.id), now_us)
        for device in registry.devices(connection, community=community)
        if actor.sees(device.community)
    ]


def _standing(device: DeviceRecord, credential: DeviceCredential | None, now_us: int) -> Standing:
    return Standing(
        device.id,
        device.community,
        device.kind,
        _retired(device, now_us),
        0 if credential is None else credential.generation,
        None if credential is None else credential.issued_us,
        None if credential is None else credential.revoked_us,
    )


def _known(connection: Connection, actor: Actor, devices: Iterable[str]) -> Sequence[DeviceRecord]:
    found = []
    for name in dict.fromkeys(devices):
        device = registry.device(connection, name)
        if device is None or not actor.sees(device.community):
            raise NotFound(f"没有登记这台设备 / no device {name} is registered")
        found.append(device)
    return found


def _issue(connection: Connection, actor: Actor, device: DeviceRecord, now_us: int) -> Issued:
    before = credentials.of(connection, device.id)
    _check_in_service(device, now_us)
    if before is not None and before.revoked_us is None:
        raise Conflict(
            f"{device.id} 已有口令，更换请用 rotate / has a password already; use `rotate` to replace it"
        )
    return _put(connection, actor, "issue", device, before, now_us)


def _put(
    connection: Connection,
    actor: Actor,
    action: str,
    device: DeviceRecord,
    before: DeviceCredential | None,
    now_us: int,
) -> Issued:
    password = new_secret()
    generation = 1 if before is None else before.generation + 1
    after = DeviceCredential(device.id, passwords.hashed(password), now_us, generation, None)
    credentials.put(connection, after)
    _append(
        connection, actor, action, device, None if before is None else _said(before), _said(after), now_us
    )
    return Issued(device.id, password, generation)


def _append(
    connection: Connection,
    actor: Actor,
    action: str,
    device: DeviceRecord,
    before: dict[str, object] | None,
    after: dict[str, object],
    now_us: int,
) -> None:
    audit.append(
        connection,
        actor,
        f"credentials.{action}",
        f"device:{device.id}",
        now_us,
        community=device.community,
        before=before,
        after=after,
    )


def _said(credential: DeviceCredential) -> dict[str, object]:
    return {"generation": credential.generation, "revoked": credential.revoked_us is not None}


def _check_in_service(device: DeviceRecord, now_us: int) -> None:
    if _retired(device, now_us):
        raise Conflict(f"{device.id} 已退役 / is retired, so it gets no password")


def _retired(device: DeviceRecord, now_us: int) -> bool:
    return device.retired_us is not None and device.retired_us <= now_us

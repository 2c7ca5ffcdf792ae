"""The demo's accounts: one of each role, with random passwords kept beside its data."""

import os
import socket
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pulse.access import passwords, people, secrets
from pulse.access.roles import Role, system
from pulse.commands.parts import Parts
from pulse.errors import BadInput
from pulse.stores.relational import registry, users

FILE = "accounts.txt"
COMMUNITIES = {Role.MANAGER: "xinjinglou"}
"""Roles of one community; the others are for all."""


class Accounts:
    """Passwords by name. Making hashes takes half a second, beside whatever else is prepared."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.passwords = _read(self.path)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="accounts")
        new = {str(role): secrets.new_code() for role in Role if str(role) not in self.passwords}
        self.passwords |= new
        self._hashes: dict[str, Future[str]] = {
            name: self._pool.submit(passwords.hashed, password) for name, password in new.items()
        }
        if new:
            _write(self.path, self.passwords)
        self._pool.shutdown(wait=False)

    def provide(self, parts: Parts) -> None:
        """Make the accounts that are missing, once the communities are there."""
        actor, now_us = system("demo", socket.gethostname()), parts.clock.now_us()
        with parts.db.read() as connection:
            there = {user.name: user for user in users.all_of(connection)}
            known = {community.id for community in registry.communities(connection)}
        hashes = {}
        for role in Role:
            name = str(role)
            if name in self._hashes:
                hashes[name] = self._hashes[name].result()
            elif name not in there:
                hashes[name] = passwords.hashed(self.passwords[name])
        if not hashes:
            return
        with parts.db.write() as connection:
            for name, hashed in hashes.items():
                if name in there:
                    # The file was lost: nobody can know the former password.
                    people.set_password(connection, actor, there[name], hashed, now_us)
                    continue
                role = Role(name)
                community = COMMUNITIES.get(role)
                people.create(
                    connection,
                    actor,
                    name,
                    role,
                    now_us,
                    communities={community} & known if community else None,
                    password_hash=hashed,
                )

    def shown(self) -> str:
        """A line for each account, aligned for the banner."""
        return "\n".join(f"                 {name:<12}{self.passwords[name]}" for name in map(str, Role))


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", where=str(path)) from error
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if any(len(pair) != 2 for pair in pairs):
        raise BadInput(
            "每行应为 用户名 密码 / has a line that is not NAME PASSWORD; remove it", where=str(path)
        )
    return dict(pairs)


def _write(path: Path, accounts: Mapping[str, str]) -> None:
    """Whole or not at all, for its owner only."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{name} {password}\n" for name, password in accounts.items())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

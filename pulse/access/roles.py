"""Roles as permissions, in one table; who acts, and what they may see and do."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from pulse.errors import BadInput


class Permission(StrEnum):
    """What somebody may do. An endpoint names one; an API token's scopes are a choice of them."""

    INDICATORS_READ = "indicators:read"
    DEVICES_READ = "devices:read"
    COLLECTOR_READ = "collector:read"
    METRICS_READ = "metrics:read"
    AUDIT_READ = "audit:read"
    COVERAGE_WRITE = "coverage:write"
    CREDENTIALS_WRITE = "credentials:write"
    MAINTENANCE_WRITE = "maintenance:write"
    POLICIES_WRITE = "policies:write"
    REGISTRY_WRITE = "registry:write"
    SHARING_PULL = "sharing:pull"
    SHARING_READ = "sharing:read"
    SHARING_WRITE = "sharing:write"
    TOKENS_WRITE = "tokens:write"
    USERS_WRITE = "users:write"


class Role(StrEnum):
    """What somebody is; who may see what of it is in `PERMISSIONS`."""

    ADMIN = "admin"
    MANAGER = "manager"
    EVALUATOR = "evaluator"
    DEPARTMENT = "department"
    VIEWER = "viewer"


_LOOKING = frozenset(
    {
        Permission.INDICATORS_READ,
        Permission.DEVICES_READ,
        Permission.COLLECTOR_READ,
        Permission.METRICS_READ,
        Permission.SHARING_READ,
    }
)

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.MANAGER: _LOOKING
    | {
        Permission.AUDIT_READ,
        Permission.COVERAGE_WRITE,
        Permission.CREDENTIALS_WRITE,
        Permission.MAINTENANCE_WRITE,
        Permission.REGISTRY_WRITE,
        Permission.TOKENS_WRITE,
    },
    Role.EVALUATOR: _LOOKING | {Permission.AUDIT_READ, Permission.TOKENS_WRITE},
    Role.DEPARTMENT: frozenset({Permission.SHARING_PULL, Permission.TOKENS_WRITE}),
    Role.VIEWER: _LOOKING,
}
"""Every role acts on its own communities (and outlets) only; the administrator's are all."""

WITHOUT_COMMUNITIES = frozenset({Role.ADMIN, Role.DEPARTMENT})
"""Roles for which a list of communities means nothing."""

NEEDS_ALL = frozenset({Permission.METRICS_READ, Permission.SHARING_WRITE, Permission.USERS_WRITE})
"""Permissions that are about the whole installation: useless to one who has only some communities."""


class Actor(NamedTuple):
    """Who acts: `name` is `user:alice`, `token:17 alice`, `cli:root`, `system:scheduler` or `anonymous`.

    `communities` None stands for all of them, those to come too. `origin` is a network address or a host.
    """

    name: str
    permissions: frozenset[Permission]
    communities: frozenset[str] | None
    outlets: frozenset[str] = frozenset()
    role: Role | None = None
    user_id: int | None = None
    origin: str = ""
    until_us: int | None = None
    """When the token that it is expires; None for everybody else."""

    def may(self, permission: Permission) -> bool:
        """Whether it has the permission for anything at all."""
        if permission in NEEDS_ALL and self.communities is not None:
            return False
        return permission in self.permissions

    def sees(self, community: str | None) -> bool:
        """Whether a community is among its own; what belongs to none is for those who have all."""
        return self.communities is None or community in self.communities

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody signed in."""
        return self.user_id is None


def anonymous(origin: str, *, may_look: bool) -> Actor:
    """Somebody who did not sign in; with `may_look` (the demo) everything can be looked at."""
    if may_look:
        return Actor("anonymous", PERMISSIONS[Role.VIEWER], None, role=Role.VIEWER, origin=origin)
    return Actor("anonymous", frozenset(), frozenset(), origin=origin)


def command_line(user: str, host: str) -> Actor:
    """Whoever runs commands on the installation's own machine: the operator, who may everything."""
    return Actor(f"cli:{user}", frozenset(Permission), None, role=Role.ADMIN, origin=host)


def system(part: str, host: str) -> Actor:
    """A part of the program that acts by itself."""
    return Actor(f"system:{part}", frozenset(Permission), None, origin=host)


def person(name: str) -> str:
    """Who stands behind an actor's name: `user:alice`, `token:17 alice` and `cli:alice` are one person."""
    return name.partition(":")[2].rpartition(" ")[2]


def role_of(text: str, where: str = "role") -> Role:
    """The role of that name. Raises `BadInput` naming `where`."""
    try:
        return Role(text)
    except ValueError:
        raise BadInput(
            f"{text!r} 不是角色，可用 / is not a role; use one of {', '.join(Role)}", where=where
        ) from None


def scopes_of(texts: Iterable[str], role: Role, where: str = "scopes") -> frozenset[Permission]:
    """Scopes of a token as permissions, each one that the role has. Raises `BadInput` naming `where`."""
    wanted = set()
    for text in texts:
        allowed = sorted(PERMISSIONS[role])
        if text not in allowed:
            raise BadInput(
                f"{text!r} 不在此角色的权限之内，可用 / is not a permission of the role {role}; "
                f"use some of {', '.join(allowed)}",
                where=where,
            )
        wanted.add(Permission(text))
    if not wanted:
        raise BadInput("至少给一个范围 / give at least one scope", where=where)
    return frozenset(wanted)

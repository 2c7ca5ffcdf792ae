"""Devices that somebody asks for and may not see: as none to them, but not to the audit log."""

from fastapi import Request

from api.auth.guard import note_refusal
from pulse.access.roles import Actor
from pulse.stores.relational import registry


def note_unseen(request: Request, actor: Actor, device_id: str) -> None:
    """Write down that an actor of some communities asked for a device that is in none of them.

    One that does not exist is written down as well: else the time that the answer takes would tell which do.
    """
    if actor.communities is None:
        return
    with request.app.state.context.db.read() as connection:
        found = registry.device(connection, device_id)
    community = None if found is None else found.community
    if not actor.sees(community):
        note_refusal(request, actor, f"device:{device_id}", community)

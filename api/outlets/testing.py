"""A test delivery: empty, signed, with an id of its own; it proves nothing but that the way is open."""

from api.outlets.answers import Answer, failure
from api.outlets.parcel import Parcel, said_of
from api.outlets.sending import opened
from pulse.access.roles import Actor
from pulse.clock import SECOND_US, Clock
from pulse.errors import BadInput
from pulse.settings import Settings
from pulse.sharing import deliveries as contents
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet, address
from pulse.stores.relational import deliveries
from pulse.stores.relational.database import Database
from pulse.stores.relational.deliveries import DONE, FAILED, TEST, Attempt


def try_out(settings: Settings, db: Database, clock: Clock, actor: Actor, outlet: Outlet) -> Answer:
    """Send an empty delivery and give the answer; written down as an access, and no receipt.

    Raises `BadInput` for an outlet that is pulled from.
    """
    if outlet.mode == "pull":
        raise BadInput(
            "由部门自己拉取，没有可发送的 / the department fetches; nothing is sent", where="outlet"
        )
    now_us = clock.now_us()
    name = f"{outlet.id}-test-{now_us // SECOND_US}"
    parcel = Parcel(name, contents.content_of(outlet, name, (), (), now_us), outlet.format)
    keys = Keys(settings.outlet_keys())
    try:
        with opened(outlet, keys, clock) as sender:
            answer = sender.send(parcel)
    except BadInput as error:
        answer = failure(said_of(error))
    target = address(outlet)
    with db.write() as connection:
        deliveries.note(
            connection,
            Attempt(
                clock.now_us(),
                outlet.id,
                name,
                TEST,
                actor.name,
                f"{target.host}:{target.port}",
                DONE if answer.received else FAILED,
                answer.detail,
            ),
        )
    return answer

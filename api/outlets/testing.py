"""A test delivery: empty, signed, with an id of its own; it proves nothing but that the way is open."""

from api.context import Context
from api.outlets.answers import Answer, failure
from api.outlets.parcel import Parcel, said_of
from api.outlets.sending import Post
from pulse.access.roles import Actor
from pulse.clock import SECOND_US
from pulse.errors import BadInput
from pulse.sharing import deliveries as contents
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet, address
from pulse.stores.relational import deliveries
from pulse.stores.relational.deliveries import DONE, FAILED, TEST, Attempt


def try_out(context: Context, actor: Actor, outlet: Outlet, *, post: Post | None = None) -> Answer:
    """Send an empty delivery and give the answer; written down as an access, and no receipt.

    Raises `BadInput` for an outlet that is pulled from.
    """
    if outlet.mode == "pull":
        raise BadInput(
            "由部门自己拉取，没有可发送的 / the department fetches; nothing is sent", where="outlet"
        )
    now_us = context.clock.now_us()
    name = f"{outlet.id}-test-{now_us // SECOND_US}"
    parcel = Parcel(name, contents.content_of(outlet, name, (), (), now_us), outlet.format)
    keys = Keys(context.settings.outlet_keys())
    try:
        with (post or Post(context, "test")).opened(outlet, keys) as sender:
            answer = sender.send(parcel)
    except BadInput as error:
        answer = failure(said_of(error))
    target = address(outlet)
    with context.db.write() as connection:
        deliveries.note(
            connection,
            Attempt(
                context.clock.now_us(),
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

"""HEAD, as monitors and browsers ask: what GET would answer, without its body (RFC 9110, section 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NEVER_ENDING = "/api/v1/events"
_ANSWERED_THERE = "/static/"


class Heads:
    """ASGI middleware that lets what answers GET answer HEAD; a stream of events has no end to wait for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or _is_left(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


def _is_left(path: str) -> bool:
    return path == _NEVER_ENDING or path.startswith(_ANSWERED_THERE)

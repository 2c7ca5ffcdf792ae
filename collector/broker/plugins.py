"""What decides in the embedded broker who may connect and which topics they may use.

amqtt's own plugins do not serve here: the anonymous one throws away persistent sessions, and its access
check never sees last wills.
"""

import asyncio
import functools
from dataclasses import dataclass
from pathlib import Path

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from collector.broker import acl
from pulse.broker import passwords
from pulse.errors import BadInput


class Passwords(BaseAuthPlugin):  # type: ignore[misc]
    """Lets in who the password file knows (everyone without a file), if the last will may be written."""

    @dataclass
    class Config:
        """Paths as text; None means no file."""

        password_file: str | None = None
        acl_file: str | None = None

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        config: Passwords.Config = self.config
        self._file = _Watched(Path(config.password_file)) if config.password_file else None
        self._acl = acl.read(Path(config.acl_file)) if config.acl_file else None

    async def authenticate(self, *, session: Session) -> bool:
        """Whether this client may connect."""
        if self._file is not None:
            entry = self._file.entries().get(session.username or "")
            # The hash is slow on purpose; a thread keeps it from holding up everyone's heartbeats.
            if entry is None or not await asyncio.to_thread(passwords.matches, session.password or "", entry):
                return False
        if self._acl is not None and session.will_flag:
            will = str(session.will_topic)
            return self._acl.allows(session.username, session.client_id or "", will, acl.Access.WRITE)
        return True


class _Watched:
    """A password file that is read again when it was replaced: what was issued or revoked counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._look()
        self._entries = passwords.read(path)

    def entries(self) -> dict[str, str]:
        """The entries by user. Raises `BadInput` where the file is gone or broken; then nobody comes in."""
        now = self._look()
        if now != self._seen:
            self._entries = passwords.read(self._path)
            self._seen = now
        return self._entries

    def _look(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise BadInput(f"cannot read the password file: {error}", where=str(self._path)) from error
        return found.st_ino, found.st_mtime_ns


class Topics(BaseTopicPlugin):  # type: ignore[misc]
    """The access file. Any filter may be subscribed; what it brings is checked at delivery."""

    @dataclass
    class Config:
        """Path as text."""

        acl_file: str = ""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        rules = acl.read(Path(self.config.acl_file))
        # One decision a client and topic: a subscriber sees the same few thousand topics all the time.
        self._allows = functools.lru_cache(maxsize=100_000)(rules.allows)

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Whether this client may do this with this topic."""
        if session is None or topic is None:
            return False
        if action is Action.SUBSCRIBE:
            return True
        access = acl.Access.WRITE if action is Action.PUBLISH else acl.Access.READ
        return self._allows(session.username, session.client_id or "", topic, access)

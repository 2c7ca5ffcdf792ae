"""Coming in: sign-in with a password, sessions, API tokens; who a request comes from.

Hashing takes tens of milliseconds and happens outside of any transaction.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from pulse.access import lockout, passwords, secrets
from pulse.access.roles import PERMISSIONS, Actor, Permission, anonymous
from pulse.clock import HOUR_US, MINUTE_US
from pulse.stores.relational import attempts, audit, sessions, tokens, users
from pulse.stores.relational.database import Database
from pulse.stores.relational.sessions import Session
from pulse.stores.relational.tokens import Token
from pulse.stores.relational.users import User

TOUCHED_EVERY_US = MINUTE_US
"""Uses within a minute are written down once."""

_MOST_AGENT = 200


class Lifetime(NamedTuple):
    """How long a session lasts without being used, and at the most."""

    idle_us: int = 30 * MINUTE_US
    absolute_us: int = 12 * HOUR_US


class SignedIn(NamedTuple):
    """A session that has begun; `secret` is for the browser alone."""

    secret: str
    session: Session
    user: User


class Refused(NamedTuple):
    """A sign-in that failed; `until_us` while further ones are refused unseen, else None."""

    until_us: int | None


def sign_in(
    db: Database,
    name: str,
    password: str,
    now_us: int,
    *,
    address: str,
    agent: str,
    lifetime: Lifetime,
) -> SignedIn | Refused:
    """Begin a session. Why it was refused is for the audit log only: it would tell who has an account."""
    name = name.strip().casefold()[:64]
    subjects = (lockout.user_subject(name), lockout.address_subject(address))
    with db.read() as connection:
        user = users.named(connection, name)
        until_us = _refused_until(connection, subjects, now_us)
    fits = until_us is None and passwords.matches(password, None if user is None else user.password_hash)
    if not fits or user is None or user.disabled_us is not None:
        reason = "locked" if until_us is not None else "disabled" if fits else "wrong"
        # Whoever mistypes a password as a name must not find it in the log.
        shown = "user:?" if user is None else f"user:{name}"
        return _refuse(db, shown, subjects, reason, until_us, now_us, address)
    secret = secrets.new_secret()
    rehashed = passwords.hashed(password) if passwords.is_outdated(str(user.password_hash)) else None
    with db.write() as connection:
        if users.of(connection, user.id) != user:
            # It was changed while the password was checked.
            return Refused(None)
        until_us = _refused_until(connection, subjects, now_us)
        if until_us is not None:
            # Others failed while it was checked: who guesses many at once is refused like who does in turn.
            _note_refused(connection, f"user:{name}", "locked", now_us, address)
            return Refused(until_us)
        if rehashed is not None:
            users.change(connection, user._replace(password_hash=rehashed))
        for subject in subjects:
            attempts.forget(connection, subject)
        session = sessions.add(
            connection,
            secrets.digest(secret),
            user.id,
            now_us,
            now_us + lifetime.absolute_us,
            address,
            agent[:_MOST_AGENT],
        )
        actor = of_user(user, address)
        said = {"session": session.id, "agent": session.agent}
        audit.append(connection, actor, "sign_in", f"user:{name}", now_us, after=said)
    return SignedIn(secret, session, user)


def _refuse(
    db: Database,
    shown: str,
    subjects: tuple[str, ...],
    reason: str,
    until_us: int | None,
    now_us: int,
    address: str,
) -> Refused:
    with db.write() as connection:
        if until_us is None:
            for subject in subjects:
                said = lockout.failed(subject, attempts.of(connection, subject), now_us)
                attempts.put(connection, subject, said)
                until_us = max(until_us or 0, said.until_us)
            until_us = until_us if until_us and until_us > now_us else None
        _note_refused(connection, shown, reason, now_us, address)
    return Refused(until_us)


def _refused_until(connection: Connection, subjects: Iterable[str], now_us: int) -> int | None:
    waits = [lockout.refused_until(attempts.of(connection, subject), now_us) for subject in subjects]
    return max((wait for wait in waits if wait is not None), default=None)


def _note_refused(connection: Connection, shown: str, reason: str, now_us: int, address: str) -> None:
    audit.append(
        connection,
        anonymous(address, may_look=False),
        "sign_in",
        shown,
        now_us,
        outcome=audit.REFUSED,
        after={"reason": reason},
    )


def sign_out(db: Database, secret: str, now_us: int, address: str) -> None:
    """End the session of a secret, if it has not ended."""
    with db.write() as connection:
        session = sessions.found(connection, secrets.digest(secret))
        if session is None or not sessions.revoke(connection, session.id, now_us):
            return
        user = users.of(connection, session.user_id)
        if user is not None:
            audit.append(connection, of_user(user, address), "sign_out", f"user:{user.name}", now_us)


class Present(NamedTuple):
    """A session that holds, with its user."""

    session: Session
    user: User


def of_session(
    db: Database, secret: str, now_us: int, lifetime: Lifetime, *, is_use: bool = True
) -> Present | None:
    """The session of a secret, None when it has ended: revoked, unused for too long, too old.

    Only a use (`is_use`) keeps it from becoming unused.
    """
    with db.read() as connection:
        session = sessions.found(connection, secrets.digest(secret))
        user = None if session is None else users.of(connection, session.user_id)
    if session is None or user is None or user.disabled_us is not None or session.revoked_us is not None:
        return None
    if now_us >= min(session.expires_us, session.last_us + lifetime.idle_us):
        return None
    if is_use and now_us - session.last_us >= TOUCHED_EVERY_US:
        with db.write() as connection:
            sessions.touch(connection, session.id, now_us)
    return Present(session, user)


def of_token(db: Database, secret: str, now_us: int, address: str, *, is_use: bool = True) -> Actor | None:
    """Who a token speaks for, None for one that is wrong, revoked or expired.

    Only a use (`is_use`) is noted as its last.
    """
    with db.read() as connection:
        token = tokens.found(connection, secrets.digest(secret))
        user = None if token is None else users.of(connection, token.user_id)
    if token is None or user is None or user.disabled_us is not None:
        return None
    if token.revoked_us is not None or now_us >= token.expires_us:
        return None
    if is_use and (token.last_us is None or now_us - token.last_us >= TOUCHED_EVERY_US):
        with db.write() as connection:
            tokens.touch(connection, token.id, now_us, address)
    return of_token_and_user(token, user, address)


def refused_token(db: Database, now_us: int, address: str) -> None:
    """Note that somebody came with a token that does not hold."""
    with db.write() as connection:
        audit.append(
            connection,
            anonymous(address, may_look=False),
            "token.use",
            "token",
            now_us,
            outcome=audit.REFUSED,
        )


def refused_code(db: Database, now_us: int, address: str) -> None:
    """Note that somebody came with a one-time code that does not hold."""
    with db.write() as connection:
        audit.append(
            connection,
            anonymous(address, may_look=False),
            "code.use",
            "code",
            now_us,
            outcome=audit.REFUSED,
        )


def of_user(user: User, origin: str) -> Actor:
    """A signed-in person as an actor."""
    return Actor(
        f"user:{user.name}",
        PERMISSIONS[user.role],
        user.communities,
        user.outlets,
        user.role,
        user.id,
        origin,
    )


def of_token_and_user(token: Token, user: User, origin: str) -> Actor:
    """A token of a user as an actor: never more than its owner may now."""
    owner = of_user(user, origin)
    scopes = frozenset(Permission(scope) for scope in token.scopes if scope in set(Permission))
    communities = owner.communities
    if token.communities is not None:
        communities = token.communities if communities is None else token.communities & communities
    return owner._replace(
        name=f"token:{token.id} {user.name}",
        permissions=owner.permissions & scopes,
        communities=communities,
        until_us=token.expires_us,
    )

"""What somebody does with their own sign-ins and password; each with its audit entry."""

from sqlalchemy import Connection

from pulse.access import lockout, passwords, people
from pulse.access.entry import Present
from pulse.access.roles import Actor
from pulse.errors import BadInput
from pulse.stores.relational import attempts, audit, sessions
from pulse.stores.relational.database import Database

WRONG_PASSWORD = "现有密码不正确 / the present password is wrong"  # noqa: S105 - what is said of one


def change_password(
    db: Database, actor: Actor, present: Present, given: str, wanted: str, now_us: int, *, least: int
) -> None:
    """Choose another password, knowing the present one; every other session of the user ends.

    Wrong guesses count as failed sign-ins do, so that a session left open is no way to try passwords out.
    Raises `BadInput` naming `present` or `password`.
    """
    user = present.user
    subject = lockout.user_subject(user.name)
    with db.read() as connection:
        _check_not_waiting(connection, subject, now_us)
    if not passwords.matches(given, user.password_hash):
        with db.write() as connection:
            said = lockout.failed(subject, attempts.of(connection, subject), now_us)
            attempts.put(connection, subject, said)
            audit.append(
                connection,
                actor,
                "user.password",
                f"user:{user.name}",
                now_us,
                outcome=audit.REFUSED,
                after={"reason": "wrong"},
            )
        raise BadInput(WRONG_PASSWORD, where="present")
    passwords.check(wanted, user=user.name, least=least)
    hashed = passwords.hashed(wanted)
    with db.write() as connection:
        # Others may have failed while it was checked.
        _check_not_waiting(connection, subject, now_us)
        people.set_password(connection, actor, user, hashed, now_us, keep_session=present.session.id)


def _check_not_waiting(connection: Connection, subject: str, now_us: int) -> None:
    if lockout.refused_until(attempts.of(connection, subject), now_us) is not None:
        raise BadInput(
            "失败次数过多，请稍后再试 / too many failed attempts, try again later", where="present"
        )


def end_session(db: Database, actor: Actor, session_id: int, now_us: int) -> bool:
    """End one of the actor's own sessions; False when it is none of theirs or had ended."""
    with db.write() as connection:
        session = sessions.of(connection, session_id)
        if session is None or session.user_id != actor.user_id:
            return False
        if not sessions.revoke(connection, session.id, now_us):
            return False
        audit.append(connection, actor, "session.end", actor.name, now_us, after={"session": session.id})
    return True


def end_other_sessions(db: Database, actor: Actor, present: Present, now_us: int) -> int:
    """End all of the user's sessions but the present one; gives how many were."""
    with db.write() as connection:
        ended = sessions.revoke_all(connection, present.user.id, now_us, but=present.session.id)
        if ended:
            audit.append(
                connection, actor, "session.end", actor.name, now_us, after={"sessions_ended": ended}
            )
    return ended

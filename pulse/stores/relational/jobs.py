"""Every run of periodic work, so that a missed one can be caught up."""

from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from pulse.errors import NotFound
from pulse.stores.relational.tables import job_runs as table


class JobRun(NamedTuple):
    """One run, for the time `due_us`; `finished_us` is None while it runs, for ever if its process died."""

    id: int
    name: str
    due_us: int
    started_us: int
    finished_us: int | None
    error: str | None


def started(connection: Connection, name: str, due_us: int, now_us: int) -> int:
    """Record that a run began and give its id."""
    done = connection.execute(
        insert(table).returning(table.c.id).values(name=name, due_us=due_us, started_us=now_us)
    )
    return int(done.scalar_one())


def finished(connection: Connection, run_id: int, now_us: int, error: str | None) -> None:
    """Record that a run ended, with what went wrong if something did. Raises `NotFound`."""
    ended = update(table).where(table.c.id == run_id).values(finished_us=now_us, error=error)
    if not connection.execute(ended).rowcount:
        raise NotFound(f"no run of a job has the id {run_id}")


def last_success(connection: Connection, name: str) -> int | None:
    """The greatest `due_us` of the runs that ended without an error, None when there is none."""
    due_us: int | None = connection.scalar(
        select(func.max(table.c.due_us)).where(
            table.c.name == name, table.c.finished_us.is_not(None), table.c.error.is_(None)
        )
    )
    return due_us


def recent(connection: Connection, limit: int, name: str | None = None) -> list[JobRun]:
    """At most `limit` runs, the last begun first; those of one job if given."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if name is not None:
        query = query.where(table.c.name == name)
    return [JobRun(*row) for row in connection.execute(query)]


def trim(connection: Connection, before_us: int) -> int:
    """Delete the runs begun before `before_us`, but for each job's last success, and say how many went."""
    successes = (
        select(func.max(table.c.due_us))
        .where(table.c.finished_us.is_not(None), table.c.error.is_(None))
        .group_by(table.c.name)
    )
    gone = delete(table).where(table.c.started_us < before_us, table.c.due_us.not_in(successes))
    return connection.execute(gone).rowcount

"""Databases as released revisions left them: `released/<revision>.<back end>.sql`.

`python -m tests.stores.relational.dumps` writes those of the newest revision, once, when it is released.
"""

import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from pulse.stores.relational import migrate
from tests import programs, servers
from tests.stores.relational import sample
from tests.stores.relational.backends import BACKENDS, opened

FOLDER = Path(__file__).parent / "released"


def path(revision: str, backend: str) -> Path:
    """Where the dump of a revision is."""
    return FOLDER / f"{revision}.{backend}.sql"


def load(revision: str, url: str) -> None:
    """Fill an empty database from the dump of a revision."""
    parts = make_url(url)
    script = path(revision, parts.get_backend_name()).read_text(encoding="utf-8")
    if parts.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(parts.database))
        connection.executescript(script)
        connection.close()
    else:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(script.encode())


def dump(url: str) -> str:
    """A database as SQL that an empty one of the same back end takes, of any supported version."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(parts.database))
        script = "\n".join(connection.iterdump()) + "\n"
        connection.close()
        return script
    done = subprocess.run(
        [str(programs.require("pg_dump")), "--inserts", "--no-owner", "--no-privileges", url],
        capture_output=True,
        text=True,
        check=True,
    )
    # Of the session's settings some belong to one version of the server, of the tool's words to psql.
    return re.sub(
        r"^(SET .*;|SELECT pg_catalog\.set_config\(.*|\\.*|--.*)?\n", "", done.stdout, flags=re.MULTILINE
    )


def main() -> None:
    revision = migrate.head()
    with tempfile.TemporaryDirectory() as folder, servers.postgres(Path(folder) / "postgres") as server:
        for backend in BACKENDS:
            target = path(revision, backend)
            if target.exists():
                sys.exit(f"{target} is there already; what was released does not change")
            url = f"sqlite:///{folder}/pulse.db" if backend == "sqlite" else server.fresh_database()
            with opened(url) as db:
                sample.fill(db)
            target.write_text(dump(url), encoding="utf-8")


if __name__ == "__main__":
    main()

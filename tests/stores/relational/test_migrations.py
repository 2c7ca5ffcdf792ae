"""Every released revision migrates forward with its data, and tables and migrations say the same."""

import threading

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Integer, MetaData, inspect, text

from pulse import chain
from pulse.errors import StoreRejected
from pulse.stores.relational import migrate, published
from pulse.stores.relational.database import Database
from pulse.stores.relational.tables import metadata
from tests.stores.relational import dumps, sample
from tests.stores.relational.backends import BACKENDS, opened

REVISIONS = sorted(s.revision for s in ScriptDirectory.from_config(migrate.config()).walk_revisions())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_released_revision_migrates_forward_with_its_data(revision: str, url: str) -> None:
    dumps.load(revision, url)
    with opened(url) as db:
        with db.read() as connection:
            assert migrate.current(connection) == migrate.head()
        sample.check(db, revision)


def test_values_published_before_there_was_a_chain_are_taken_into_it_as_they_stood(url: str) -> None:
    """More than a page of them, of two names, in the order of their times; the chain goes on behind them."""
    dumps.load("0003", url)
    before = Database(url)
    with before.write() as connection:
        rows = [
            {
                "name": name,
                "at": sample.T + n,
                "figures": f'{{"n":{n}}}',
                "digest": published.digest({"n": n}),
            }
            for n in range(600, 0, -1)
            for name in ("online-rate", "other")
        ]
        insertion = text("INSERT INTO published VALUES (:name, :at, :at, 1, 2, :figures, :digest)")
        connection.execute(insertion, rows)
    before.close()
    with opened(url) as db:
        with db.write() as connection:
            published.append(connection, sample.VALUE._replace(at_us=sample.T - 1))
        with db.read() as connection:
            found = chain.verify(published.links(published.walk(connection)), published.head(connection))
            stored = list(published.walk(connection))
    assert (found.links, found.broken) == (1202, None)
    assert [(row.at_us, row.name) for row in stored[:-1]] == sorted((r.at_us, r.name) for r in stored[:-1])
    assert {row.inputs for row in stored[:-1]} == {'{"none":"before_0004"}'}
    assert stored[-1].at_us == sample.T - 1


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_released_revision_is_never_changed(
    revision: str, request: pytest.FixtureRequest, url: str
) -> None:
    """What migrations make of nothing today is what they made when the revision was released."""
    dumps.load(revision, url)
    released = Database(url)
    with released.read() as connection:
        before = schema(connection)
    with released.write() as connection:
        for table in inspect(connection).get_table_names():
            cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA defer_foreign_keys=ON"))
            connection.execute(text(f'DROP TABLE "{table}"{cascade}'))
    with released.write() as connection:
        migrate.upgrade(connection, revision)
        assert schema(connection) == before
    released.close()


def schema(connection: Connection) -> list[tuple[object, ...]]:
    """All that the back end says of its tables, in its own words."""
    if connection.dialect.name == "sqlite":
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        return [(*row[:3], " ".join((row[3] or "").split())) for row in connection.execute(text(query))]
    queries = (
        "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name"
        " FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace",
    )
    return [row for query in queries for row in sorted(map(tuple, connection.execute(text(query))), key=str)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_has_a_dump(revision: str, backend: str) -> None:
    assert dumps.path(revision, backend).exists(), (
        "run `python -m tests.stores.relational.dumps` when the revision is final"
    )


def differences(db: Database, tables: MetaData) -> list[object]:
    with db.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, tables))


def test_migrations_make_the_tables_that_the_code_uses(db: Database) -> None:
    assert differences(db, metadata) == []


def test_a_table_that_migrations_do_not_make_would_be_noticed(db: Database) -> None:
    changed = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        table.to_metadata(changed)
    changed.tables["runs"].append_column(Column("forgotten", Integer))
    assert len(differences(db, changed)) == 1


def test_a_newer_database_is_refused_and_left_alone(db: Database, url: str) -> None:
    sample.fill(db)
    with db.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreRejected, match=f"revision 9999, newer than .*up to {migrate.head()}"):
        Database(url).open()
    with db.write() as connection:
        assert migrate.current(connection) == "9999"
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.head()})
    sample.check(db, migrate.head())


def test_tables_of_another_program_are_not_touched(url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE devices (mine INTEGER)"))
    with pytest.raises(StoreRejected, match="'devices' that this program did not make"):
        database.open()
    with database.read() as connection:
        assert inspect(connection).get_table_names() == ["devices"]
    database.close()


def test_a_migration_that_fails_leaves_nothing_and_can_be_tried_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, upgrade = Database(url), command.upgrade

    def upgrade_and_fail(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise OSError("no power")

    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade_and_fail)
        with pytest.raises(OSError, match="no power"):
            database.open()
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
    database.open()
    sample.fill(database)
    sample.check(database, migrate.head())
    database.close()


def test_processes_that_start_together_migrate_once(url: str) -> None:
    """Each `Database` locks as a process of its own does."""
    databases, problems = [Database(url) for _ in range(4)], list[BaseException]()

    def start(database: Database) -> None:
        try:
            database.open()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    sample.fill(databases[0])
    sample.check(databases[3], migrate.head())
    for database in databases:
        database.close()

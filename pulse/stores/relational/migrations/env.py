"""Run by Alembic: migrates on the connection, and in the transaction, that `migrate.upgrade` was given."""

from alembic import context

from pulse.stores.relational.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

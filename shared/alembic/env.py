"""How Alembic runs the migrations of a service; it reads this file itself. See `shared.migrations`."""

from __future__ import annotations

from alembic import context

_connection = context.config.attributes["connection"]
context.configure(
    connection=_connection,
    target_metadata=context.config.attributes["tables"],
    compare_type=True,
    render_as_batch=_connection.dialect.name == "sqlite",  # SQLite changes a table by copying it
    transactional_ddl=True,  # on SQLite too, since `shared.database` begins the transaction
)
with context.begin_transaction():
    context.run_migrations()

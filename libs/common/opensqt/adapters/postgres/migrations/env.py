"""Runs migrations on the connection that `migrate` hands over; alembic executes this file."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]

connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
context.configure(connection=connection, version_table_schema=schema, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()

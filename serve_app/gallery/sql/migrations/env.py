"""Alembic's entry point: runs the migrations on the connection that ``upgrade_database`` hands over."""

from alembic import context

from serve_app.gallery.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

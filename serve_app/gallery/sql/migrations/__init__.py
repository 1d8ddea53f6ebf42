"""Schema migrations. The first process that opens a database applies them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from filelock import FileLock, Timeout

from serve_app.errors import ConfigurationError, StoreUnavailable
from serve_app.gallery.sql.database import Database

ADVISORY_LOCK = 0x66616365  # "face"
LOCK_TIMEOUT_S = 120


def upgrade_database(database: Database) -> None:
    """Bring the schema to this version; processes that start at the same time wait for one another.

    Raises ConfigurationError: the database was written by a newer facegraph; StoreUnavailable: the database does not
    answer, or another process still upgrades it.
    """
    try:
        if database.kind == "sqlite":
            with FileLock(f"{database.engine.url.database}.lock", timeout=LOCK_TIMEOUT_S):
                _upgrade(database)
        else:
            _upgrade(database)
    except Timeout:
        raise StoreUnavailable(
            f"Another process has been upgrading the database for {LOCK_TIMEOUT_S} s; try again."
        ) from None
    except CommandError as error:
        raise ConfigurationError(
            f"The database does not fit this version of facegraph, most likely a newer one wrote it: {error}"
        ) from None


def _upgrade(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with database.write() as connection:
        if database.kind == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

"""The schema and its migrations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from scripts.servers.postgres import PostgresServer
from serve_app.errors import ConfigurationError
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.migrations import upgrade_database
from serve_app.gallery.sql.schema import installation, metadata


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.create_database()
    return f"sqlite:///{tmp_path / 'records.db'}"


def test_migrations_lead_to_the_schema(url: str) -> None:
    database = Database(url)
    upgrade_database(database)
    upgrade_database(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_many_may_upgrade_at_once(url: str) -> None:
    def upgrade(_: int) -> str:
        database = Database(url)
        try:
            upgrade_database(database)
            with database.read() as connection:
                return str(connection.execute(sa.select(installation.c.id)).scalar_one())
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(upgrade, range(6)))) == 1


def test_a_newer_database_is_refused_in_words(url: str) -> None:
    database = Database(url)
    upgrade_database(database)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer"):
        upgrade_database(database)
    database.close()


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "busy_timeout": 20_000}
    with database.read() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected}
    assert found == expected
    database.close()

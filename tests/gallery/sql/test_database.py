"""The SQLite database file, in a process that has it open more than once."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from serve_app.errors import ConfigurationError
from serve_app.gallery.sql.database import Database

VISIT = """
import sys
import sqlalchemy as sa
from serve_app.gallery.sql.database import Database
database = Database(sys.argv[1])
with database.write() as connection:
    print([value for value, in connection.execute(sa.text("select x from t order by x"))])
    connection.execute(sa.text("insert into t values (:x)"), {"x": int(sys.argv[2])})
database.close()
"""


def visit(url: str, number: int) -> str:
    """Let another process, such as a CLI command, open the database, read, write and close it; what it read."""
    run = subprocess.run([sys.executable, "-c", VISIT, url, str(number)], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_a_visitor_deletes_nobody_s_log(tmp_path: Path) -> None:
    """Stages in one process open the records separately, and a command can open and close them at any time."""
    url = f"sqlite:///{tmp_path / 'records.db'}"
    first, second = Database(url), None
    try:
        with first.write() as connection:
            connection.execute(sa.text("create table t (x)"))
        second = Database(url)
        assert visit(url, 1) == "[]"
        for number, database in ((2, first), (3, second)):
            with database.write() as connection:
                connection.execute(sa.text("insert into t values (:x)"), {"x": number})
        assert visit(url, 4) == "[1, 2, 3]"
        for database in (first, second):
            with database.read() as connection:
                assert connection.scalar(sa.text("select count(*) from t")) == 4
    finally:
        first.close()
        if second is not None:
            second.close()


def test_the_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    with database.write() as connection:
        connection.execute(sa.text("create table t (x)"))
        files = list(tmp_path.iterdir())
        assert {path.name for path in files} == {"records.db", "records.db-wal", "records.db-shm"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    database.close()


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "records.db").mkdir()
    with pytest.raises(ConfigurationError, match="It is not a file"):
        Database(f"sqlite:///{tmp_path / 'records.db'}")

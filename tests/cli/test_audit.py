"""``facegraph audit``: the log in the database and in a file, and heads that were noted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.gallery import open_keys
from serve_app.gallery.sql.schema import audit_log
from serve_app.settings import Settings
from tests.cli.conftest import facegraph


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a log with four entries."""
    folder = tmp_path / "data"
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(folder))
    with closing(open_keys(Settings(data_dir=folder))) as keys:
        for number in range(4):
            keys.create(DEFAULT_TENANT, f"key {number}", Role.SEARCH)
    return folder


def hashes(folder: Path) -> list[str]:
    with closing(open_keys(Settings(data_dir=folder))) as keys, keys._database.read() as connection:
        return [row.hash for row in connection.execute(audit_log.select().order_by(audit_log.c.sequence))]


def test_a_noted_head(data: Path, tmp_path: Path) -> None:
    first, *_, last = hashes(data)
    done = facegraph("audit", "check", "--head", first)
    assert "4 entries, all intact. 1 (" in done.output
    assert "The noted head is entry 1; 3 came since." in done.output
    file = tmp_path / "log.jsonl"
    file.write_text(facegraph("audit", "export").output)
    assert "entry 4; 0 came since" in facegraph("audit", "check", str(file), "--head", last).output
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert "all intact" in facegraph("audit", "check", str(file)).output
    cut = facegraph("audit", "check", str(file), "--head", last)
    assert (cut.exit_code, "No entry has the hash" in cut.output) == (1, True)


def test_a_log_that_was_cut_off(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(facegraph("audit", "export").output.splitlines(keepends=True)[2:]))
    assert "broken at entry 1. The beginning is missing" in facegraph("audit", "check", str(file)).output
    with closing(open_keys(Settings(data_dir=data))) as keys, keys._database.write() as connection:
        connection.execute(audit_log.delete())
    assert "broken at entry 1" in facegraph("audit", "check").output

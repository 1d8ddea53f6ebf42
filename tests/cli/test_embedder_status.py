"""``facegraph models switch``: on the database, beside a service that may be running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from tests.cli.conftest import facegraph
from tests.gallery.samples import MODEL, OTHER_MODEL, face
from tests.gallery.stores import in_memory


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery whose only face has no stored crop."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(folder))
    with in_memory(folder) as gallery:
        gallery.aim(MODEL)
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        gallery.put_person(DEFAULT_TENANT, "ada", ("staff",), PersonFields(), [face(1, thumbnail=None)])
    return folder


def aim(folder: Path) -> None:
    """A start with the other model configured, and a worker's pass."""
    with in_memory(folder) as gallery:
        gallery.aim(OTHER_MODEL)
        assert gallery.crops_to_embed("ab" * 16) is None


def test_without_a_change(data: Path) -> None:
    assert facegraph("models", "switch").stdout.strip() == f"The embedder is {MODEL}."


def test_a_change_that_waits_and_is_decided(data: Path) -> None:
    aim(data)
    told = " ".join(facegraph("models", "switch").stdout.split())
    assert f"0 of 1 faces are embedded by {OTHER_MODEL}, searches use {MODEL}" in told
    assert "1 faces have no stored crop" in told
    listed = json.loads(facegraph("models", "switch", "--list", "--json").stdout)
    assert listed["state"] == "waiting"
    assert [(item["tenant"], item["person_id"], item["remaining"]) for item in listed["left_behind"]] == [
        ("default", "ada", 0)
    ]
    assert "ada" in facegraph("models", "switch", "--list").stdout

    decided = json.loads(facegraph("models", "switch", "--leave-behind", "--json").stdout)
    assert (decided["state"], decided["active"], decided["target"]) == ("finishing", OTHER_MODEL, None)
    assert decided["without_image"] == 1, "still told"


def test_deciding_without_a_change_changes_nothing(data: Path) -> None:
    assert json.loads(facegraph("models", "switch", "--leave-behind", "--json").stdout)["active"] == MODEL


def test_a_folder_without_a_database_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path))
    done = facegraph("models", "switch")
    assert done.exit_code != 0
    assert "There is no database" in done.stderr

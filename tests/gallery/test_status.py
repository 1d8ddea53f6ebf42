"""Status of the gallery: warnings for the operator."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.samples import face
from tests.gallery.stores import in_memory


class Small(MemoryIndex):
    """An index that should be used for two rows at most."""

    def capacity(self) -> int:
        return 2


def test_a_gallery_that_has_outgrown_its_index_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with in_memory(tmp_path, Small()) as gallery, caplog.at_level(logging.WARNING):
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        for number in range(2):
            gallery.put_person(DEFAULT_TENANT, f"p{number}", ["staff"], PersonFields(), [face(number)])
        gallery.recover()
        assert gallery.ready()["warnings"] == {}
        assert not caplog.records
        gallery.put_person(DEFAULT_TENANT, "p2", ["staff"], PersonFields(), [face(2)])
        assert "facegraph index move --to" in gallery.ready()["warnings"]["index_outgrown"]
        gallery._expiry_due = 0
        gallery.maintain()
        assert caplog.text.count("has 3 faces, more than the 2") == 1
        gallery._expiry_due = 0
        gallery.maintain()
        assert caplog.text.count("has 3 faces, more than the 2") == 1

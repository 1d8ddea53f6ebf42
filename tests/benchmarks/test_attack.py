"""The published table of ``make attack``."""

from __future__ import annotations

import json

import pytest

from benchmarks.common.report import REFERENCE
from benchmarks.load.attack import PAGE, with_table

RESULT = REFERENCE / "attack.json"


@pytest.mark.skipif(not RESULT.is_file(), reason="no run of make attack is published")
def test_the_page_shows_the_published_run() -> None:
    page = PAGE.read_text("utf-8")
    assert with_table(page, json.loads(RESULT.read_text("utf-8"))) == page

"""The published table of ``make attack``."""

from __future__ import annotations

import json

from benchmarks.common.report import REFERENCE
from benchmarks.load.attack import EARLIER, PAGE, with_table


def test_the_page_shows_the_published_run() -> None:
    result = REFERENCE / "attack.json"
    page = PAGE.read_text("utf-8")
    assert with_table(page, json.loads((result if result.is_file() else EARLIER).read_text("utf-8"))) == page

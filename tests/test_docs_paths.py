"""Files and folders of the repository that README.md, CONTRIBUTING.md and docs/ name exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
PAGES.remove(ROOT / "docs/comparison.md")  # names files of other projects
FOLDERS = "serve_app|facegraph|tests|benchmarks|scripts|configs|deploy|examples|models|notebooks|requirements|docs"
PATH = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*)`")
WRITTEN_LATER = {"benchmarks/results/local", "tests/artefacts/console/", "models/ID.md", "models/ID.toml"}
"""Paths of what a command or the reader makes."""


def test_paths_in_the_documentation_exist() -> None:
    named = {(page.name, path) for page in PAGES for path in PATH.findall(page.read_text("utf-8"))}
    assert len(named) > 30
    missing = {each for each in named if each[1] not in WRITTEN_LATER and not list(ROOT.glob(each[1]))}
    assert missing == set()

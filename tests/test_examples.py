"""The photographs of the examples: what is written, and where."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from examples import photos
from tests.photos import ROOT

WRITTEN = {"me1.jpg", "me2.jpg", "grace.jpg", "group.jpg"}


def test_the_photographs_are_those_that_the_readme_names(tmp_path: Path) -> None:
    photos.main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == WRITTEN
    assert set(re.findall(r"\b\w+\.jpg\b", (photos.__doc__ or "").partition("It writes")[2])) == WRITTEN
    folder = photos.FOLDER.relative_to(ROOT)
    assert f"examples/photos.py` writes four into `{folder}`" in (ROOT / "README.md").read_text()


def test_a_clone_stays_clean() -> None:
    done = subprocess.run(["git", "check-ignore", photos.FOLDER], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 128:
        pytest.skip("not a git repository")
    assert done.returncode == 0, f"{photos.FOLDER} is not ignored"

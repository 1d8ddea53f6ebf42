"""The documentation builds as a site without a warning (links, anchors, docstrings), and loads nothing from others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]+src=["']?(https?:[^"'\s>]+)|<link[^>]+href=["']?(https?:[^"'\s>]+)"""
)


@pytest.mark.slow
def test_the_site_is_built_strictly_and_stands_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {str(page.relative_to(tmp_path)): page.read_text("utf-8") for page in tmp_path.rglob("*.html")}
    assert {"index.html", "changelog.html", "reference/client.html", "repository/models/sface-2021dec.html"} <= set(
        pages
    )
    for name, text in pages.items():
        assert LOADED.findall(text) == [], name
    assert 'href="repository/benchmarks' not in pages["index.html"]  # a folder is no page
    assert 'id="serve_app.client.Client.search"' in pages["reference/client.html"]
    assert 'id="serve_app.domain.SearchResult"' in pages["reference/domain.html"]

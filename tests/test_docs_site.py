"""The documentation builds as a site without a warning (links, anchors, docstrings), and loads nothing from others.

No page has a placeholder left.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import serve_app.errors

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
    rows = re.findall(r"<tr>.*?</tr>", pages["reference/errors.html"], re.DOTALL)
    kinds = [each for each in vars(serve_app.errors).values() if isinstance(each, type)]
    kinds = [each for each in kinds if issubclass(each, serve_app.errors.FacegraphError)]
    assert len(kinds) > 40
    for kind in kinds:
        found = [row for row in rows if f'href="#serve_app.errors.{kind.__name__}"' in row]
        assert len(found) == 1, kind
        assert f"<code>{kind.code}</code>" in found[0]
        assert f"<td>{kind.status}</td>" in found[0]


@pytest.mark.parametrize(
    "page", sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
)
def test_no_figure_is_left_to_be_filled_in(page: str) -> None:
    assert re.findall(r"@[A-Z0-9]+@", (ROOT / page).read_text("utf-8")) == []

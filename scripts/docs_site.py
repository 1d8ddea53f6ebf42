"""A hook of mkdocs: the README and the changelog are pages, and links to other files of the repository go to copies.

Pages are written to be read in the repository, too, so their links are the repository's: ``../models/sface.md`` from
``docs/models.md``, ``docs/api.md`` from the README. Here each is turned to where the file is on the site. Tables that
code knows better than a page are put in where the page has their mark.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

import serve_app.errors

ROOT = Path(__file__).resolve().parent.parent
DOCS = "docs"
COPIES = PurePosixPath("repository")
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
FOLDER_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:)([^)#\s]+)\)")
ERROR_TABLE = "<!-- table of the errors -->"
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside the documentation's folder, and every file that a page links to there."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for file in list(files.documentation_pages()):
        source = source_of(file.src_uri)
        for match in LINK.finditer((ROOT / source).read_text("utf-8")):
            target = resolved(source, match[1])
            place = place_of(target)
            if place.is_relative_to(COPIES) and (ROOT / target).is_file() and str(place) not in files.src_uris:
                files.append(File.generated(config, str(place), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with its links as they are on the site, and its tables. A link to a folder becomes its words."""
    source = source_of(page.file.src_uri)
    here = PurePosixPath(page.file.src_uri).parent

    def on_site(match: re.Match[str]) -> str:
        place = place_of(resolved(source, match[1]))
        return os.path.relpath(place, here) + (match[2] or "")

    def without_folder(match: re.Match[str]) -> str:
        return match[1] if (ROOT / resolved(source, match[2])).is_dir() else match[0]

    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(on_site, FOLDER_LINK.sub(without_folder, part)) for part in parts[::2]]
    return "".join(parts).replace(ERROR_TABLE, error_table())


def error_table() -> str:
    """Class, code and status of each error: attributes of a class have no docstrings that mkdocstrings would show."""
    rows = ["| class | `code` | HTTP status |", "| --- | --- | --- |"]
    for name in serve_app.errors.__all__:
        kind = getattr(serve_app.errors, name)
        rows.append(f"| [{name}][{kind.__module__}.{name}] | `{kind.code}` | {kind.status} |")
    return "\n".join(rows)


def source_of(page: str) -> PurePosixPath:
    """The file of the repository that a page is made of."""
    for source, name in PAGES.items():
        if page == name:
            return PurePosixPath(source)
    path = PurePosixPath(page)
    return path.relative_to(COPIES) if path.is_relative_to(COPIES) else PurePosixPath(DOCS) / path


def resolved(source: PurePosixPath, link: str) -> PurePosixPath:
    """What a link means, from the root of the repository."""
    return PurePosixPath(os.path.normpath(source.parent / link))


def place_of(target: PurePosixPath) -> PurePosixPath:
    """Where a file of the repository is on the site."""
    if str(target) in PAGES:
        return PurePosixPath(PAGES[str(target)])
    return target.relative_to(DOCS) if target.is_relative_to(DOCS) else COPIES / target

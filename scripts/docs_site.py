"""Hooks of mkdocs: README and changelog become pages, and links to other files of the repository lead to copies.

Pages are also read in the repository, so their links are relative to it: ``../models/sface.md`` from
``docs/models.md``, ``docs/api.md`` from the README. These hooks rewrite each link to the file's path on the site.
Tables that are generated from code replace their marks in the pages.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

import serve_app.errors
from serve_app.errors import FacegraphError

ROOT = Path(__file__).resolve().parent.parent
DOCS = "docs"
COPIES = PurePosixPath("repository")
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
FOLDER_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:)([^)#\s]+)\)")
ERROR_TABLE = "<!-- table of the errors -->"
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside the documentation's folder, and every file outside it that a page links to."""
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
    """The page with links rewritten for the site and generated tables. A link to a folder becomes plain text."""
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
    """Table of each error's class, code and status: mkdocstrings does not show class attributes without docstrings."""
    rows = ["| class | `code` | HTTP status |", "| --- | --- | --- |"]
    for kind in sorted(error_classes(), key=lambda kind: kind.__name__):
        rows.append(f"| [{kind.__name__}][{kind.__module__}.{kind.__name__}] | `{kind.code}` | {kind.status} |")
    return "\n".join(rows)


def error_classes() -> set[type[FacegraphError]]:
    """All error classes, each once although some have a former name as well."""
    found = vars(serve_app.errors).values()
    return {kind for kind in found if isinstance(kind, type) and issubclass(kind, FacegraphError)}


def source_of(page: str) -> PurePosixPath:
    """The file of the repository from which a page is made."""
    for source, name in PAGES.items():
        if page == name:
            return PurePosixPath(source)
    path = PurePosixPath(page)
    return path.relative_to(COPIES) if path.is_relative_to(COPIES) else PurePosixPath(DOCS) / path


def resolved(source: PurePosixPath, link: str) -> PurePosixPath:
    """The target of a link, relative to the root of the repository."""
    return PurePosixPath(os.path.normpath(source.parent / link))


def place_of(target: PurePosixPath) -> PurePosixPath:
    """The path on the site of a file of the repository."""
    if str(target) in PAGES:
        return PurePosixPath(PAGES[str(target)])
    return target.relative_to(DOCS) if target.is_relative_to(DOCS) else COPIES / target

"""Sources of a bulk enrolment: a folder, a zip or a manifest, on this machine or behind a URL."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.bulk.entries import BadSource, Entry, PictureFile
from serve_app.bulk.files import Files, Unreadable, is_local
from serve_app.bulk.manifest import Problems, read_manifest
from serve_app.bulk.worklist import WorkList

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
MANIFESTS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
IN_ZIPS = ("manifest.csv", "manifest.jsonl")
"""A manifest of one of these names at the top of a zip is used for it."""


@dataclass
class Source:
    """A source of persons.

    Attributes:
        label: name in messages; if empty, the location.
        warnings: set by :meth:`load`.
    """

    location: str
    files: Files
    label: str = ""
    warnings: list[str] = field(default_factory=list)

    def load(self, work: WorkList) -> None:
        """Add all entries to the work list, without reading images.

        Raises BadSource if the source cannot be used, and nothing of it should be enrolled.
        """
        try:
            self._load(work)
        except (Unreadable, OSError) as error:
            raise BadSource(f"{self._name} cannot be read: {error}") from None

    @property
    def _name(self) -> str:
        return self.label or self.location

    def _load(self, work: WorkList) -> None:
        if is_local(self.location):
            self.location = str(Path(self.location).absolute())  # the report can be used from another folder
            if not Path(self.location).exists():
                raise BadSource(f"There is no file or folder {self.location}.")
        suffix = posixpath.splitext(self.location.partition("::")[0].partition("?")[0])[1].lower()
        if is_local(self.location) and Path(self.location).is_dir():
            self._folder(work, self.location)
        elif suffix in MANIFESTS:
            self._manifest(work, self.location, MANIFESTS[suffix])
        elif suffix == ".zip":
            self._zip(work, f"zip://::{self.location}")
        elif self.location.startswith("zip://::"):
            self._zip(work, self.location)
        elif is_local(self.location) or suffix in PICTURES:
            raise BadSource(f"Expected a folder, a .zip, a .csv or a .jsonl, or the URL of one; got {self.location}.")
        else:
            self._folder(work, self.location)

    def _zip(self, work: WorkList, root: str) -> None:
        while True:
            children = list(self.files.children(root))
            for child in children:
                if child.name.lower() in IN_ZIPS and not child.is_folder:
                    kind = child.name.rsplit(".", 1)[1].lower()
                    return self._manifest(work, child.file.location, kind, confined=True)
            if len(children) != 1 or not children[0].is_folder:
                break
            # The zip has one folder at its top: the persons are the folders inside it.
            inside = list(self.files.children(children[0].file.location))
            if any(not child.is_folder and _is_picture(child.name) for child in inside):
                break
            root = children[0].file.location
        return self._folder(work, root)

    def _folder(self, work: WorkList, root: str) -> None:
        """Read a folder with one sub-folder for each person.

        The sub-folder's name is the person's id and, with spaces for underscores, the name.
        """
        stray = 0
        for child in self.files.children(root):
            if child.is_folder:
                inside = self.files.children(child.file.location)
                pictures = [item.file for item in inside if not item.is_folder and _is_picture(item.name)]
                pictures.sort(key=lambda file: file.location)
                work.add(Entry(child.name, tuple(pictures), {"name": child.name.replace("_", " ")}))
            else:
                stray += _is_picture(child.name)
        if stray:
            where = f"in {self._name} itself and not in a person's folder"
            self.warnings.append(f"{stray} images are {where}: they are left out.")
        if not work.persons:
            raise BadSource(f"There are no sub-folders in {self._name}, expected one for each person.")

    def _manifest(self, work: WorkList, location: str, kind: str, *, confined: bool = False) -> None:
        problems = Problems(self._name)
        inner, separator, archive = location.partition("::")
        folder = inner.rpartition("/")[0]

        def locate(name: str) -> PictureFile:
            absolute = name.startswith("/") or "://" in name
            if confined and (absolute or ".." in name.split("/")):
                raise ValueError(f"expected a file of the zip, got {name!r}")
            return self.files.describe(name if absolute else f"{folder or '.'}/{name}{separator}{archive}")

        system, path = self.files.find(location)
        with system.open(path, "rb") as file:
            for line, entry in read_manifest(file, kind, problems, locate):
                try:
                    work.add(entry)
                except ValueError as error:
                    problems.add(line, str(error))
        problems.settle()
        if not work.persons:
            raise BadSource(f"{self._name} names no person.")


def _is_picture(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in PICTURES

"""Sources of a bulk enrolment: a folder, a zip or a manifest, on this machine or behind a URL."""

from __future__ import annotations

import posixpath
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from serve_app.bulk.entries import BadSource, Entry, LeftOut, PictureFile
from serve_app.bulk.files import Child, Files, Unreadable, is_local
from serve_app.bulk.junk import is_junk
from serve_app.bulk.manifest import Problems, read_manifest
from serve_app.bulk.worklist import WorkList
from serve_app.bulk.zips import DAMAGED, MOST_NAME, ReadZip, ZipBounds, inner_path
from serve_app.cancellation import check_wanted

PICTURES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp"})
NO_PICTURE = f"not an image by its name: expected {', '.join(sorted(PICTURES))}"
MANIFESTS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
IN_ZIPS = ("manifest.csv", "manifest.jsonl")
"""A manifest of one of these names at the top of a zip, or of its only folder, is used for it."""


@dataclass
class Source:
    """A source of persons.

    Attributes:
        label: name in messages; if empty, the location.
    """

    location: str
    files: Files
    label: str = ""

    def load(self, work: WorkList) -> None:
        """Add all entries to the work list, and what is left out, without reading images.

        Raises BadSource if the source cannot be used, and nothing of it should be enrolled.
        """
        try:
            self._load(work)
        except (Unreadable, OSError, *DAMAGED) as error:
            raise BadSource(f"{self._name} cannot be read: {error}") from None

    @property
    def _name(self) -> str:
        return self.label or self.location

    def _load(self, work: WorkList) -> None:
        if not self.location:
            raise BadSource("A folder, a .zip, a .csv or a .jsonl, or the URL of one was expected, got nothing.")
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
        archive, _ = self.files.find(root)
        for name, reason in archive.left_out.items():
            work.leave_out(LeftOut(self._location(name), reason))
        while True:
            children = list(self.files.children(root))
            for child in children:
                if _is_manifest(child):
                    kind = child.name.rsplit(".", 1)[1].lower()
                    if (child.file.size or 0) > archive.bounds.manifest_bytes:
                        most = archive.bounds.manifest_bytes
                        raise BadSource(f"{child.name} has {child.file.size} bytes; at most {most} are read.")
                    self._manifest(work, child.file.location, kind, confined=archive.bounds)
                    self._leave_out_unnamed(work, archive, child.file.location)
                    return None
            meant = [child for child in children if not is_junk(child.name)]
            folders = [child for child in meant if child.is_folder]
            if len(folders) != 1 or any(not child.is_folder and _is_picture(child.name) for child in meant):
                break
            inside = [child for child in self.files.children(folders[0].file.location) if not is_junk(child.name)]
            # The zip has one folder at its top: the persons, or the manifest, are inside it.
            if not any(map(_is_manifest, inside)):
                if any(not child.is_folder and _is_picture(child.name) for child in inside):
                    break
                for child in children:
                    if child is not folders[0]:
                        self._leave_out(work, child)
            root = folders[0].file.location
        return self._folder(work, root)

    def _folder(self, work: WorkList, root: str) -> None:
        """Read a folder with one sub-folder for each person.

        The sub-folder's name is the person's id and, with spaces for underscores, the name.
        """
        for child in self.files.children(root):
            check_wanted()
            if child.is_folder and not _is_unicode(child.name):
                work.leave_out(LeftOut(self._location(child.file.location), "the folder's name is not UTF-8"))
            elif child.is_folder and not is_junk(child.name):
                self._person(work, child)
            else:
                self._leave_out(work, child, "the image is not in a person's folder")
        if not work.persons:
            raise BadSource(f"There are no sub-folders in {self._name}, expected one for each person.")

    def _person(self, work: WorkList, folder: Child) -> None:
        pictures = []
        for item in self.files.children(folder.file.location):
            check_wanted()
            if not item.is_folder and _is_picture(item.name) and not is_junk(item.name):
                pictures.append(item.file)
            else:
                self._leave_out(work, item)
        pictures.sort(key=lambda file: file.location)
        person = unicodedata.normalize("NFC", folder.name).strip() or folder.name  # macOS writes names in NFD
        work.add(Entry(person, tuple(pictures), {"name": person.replace("_", " ").strip()}))

    def _leave_out(self, work: WorkList, child: Child, why_a_picture: str = "") -> None:
        """Note an entry that is not enrolled; ``why_a_picture`` is the reason if it is an image."""
        if is_junk(child.name):
            reason = "a file of the system, or hidden"
        elif child.is_folder:
            reason = "a folder in a person's folder: move its images up, or write a manifest"
        else:
            reason = why_a_picture if _is_picture(child.name) else NO_PICTURE
        work.leave_out(LeftOut(self._location(child.file.location), reason, is_junk(child.name)))

    def _leave_out_unnamed(self, work: WorkList, archive: ReadZip, manifest: str) -> None:
        """Note what a zip contains beside its manifest and the images that this names."""
        for name in archive.names():
            check_wanted()
            location = f"zip://{name}::{self.location.partition('::')[2] or self.location}"
            if location == manifest or work.has_file(location):
                continue
            junk = any(map(is_junk, name.split("/")))
            reason = "a file of the system, or hidden" if junk else "the manifest does not name it"
            work.leave_out(LeftOut(self._location(location), reason, junk))

    def _location(self, location: str) -> str:
        """A location as it is shown: of an entry in a zip, the path in it."""
        return location.removeprefix("zip://").partition("::")[0]

    def _manifest(self, work: WorkList, location: str, kind: str, *, confined: ZipBounds | None = None) -> None:
        """Read a manifest. One in a zip is ``confined`` to files of the zip, and to bounds."""
        most = confined.entries if confined else None
        named = 0
        problems = Problems(self._name)
        inner, separator, archive = location.partition("::")
        folder = inner.rpartition("/")[0]

        def locate(name: str) -> PictureFile:
            nonlocal named
            named += 1
            if most is not None and named > most:
                raise BadSource(f"The manifest names more than {most} images.")
            absolute = name.startswith("/") or "://" in name
            if confined and (absolute or ".." in name.split("/")):
                raise ValueError(f"expected a file of the zip, got {name!r}")
            if confined:
                if len(name) > MOST_NAME:
                    raise ValueError(f"expected a file of the zip, got a name of {len(name)} characters")
                name = inner_path(name)
            try:
                return self._described(name if absolute else f"{folder or '.'}/{name}{separator}{archive}")
            except Unreadable as error:
                raise ValueError(f"{name}: {error}") from None

        system, path = self.files.find(location)
        with system.open(path, "rb") as file:
            for line, entry in read_manifest(file, kind, problems, locate, most):
                try:
                    work.add(entry)
                except ValueError as error:
                    problems.add(line, str(error))
        problems.settle()
        if not work.persons:
            raise BadSource(f"{self._name} names no person.")

    def _described(self, location: str) -> PictureFile:
        """The file of a location, also if its name is stored with the marks of letters written in another way."""
        file = self.files.describe(location)
        for form in ("NFC", "NFD") if file.size is None else ():
            other = self.files.describe(unicodedata.normalize(form, location))
            if other.size is not None:
                return other
        return file


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_manifest(child: Child) -> bool:
    return child.name.lower() in IN_ZIPS and not child.is_folder


def _is_picture(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in PICTURES

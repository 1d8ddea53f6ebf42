"""Entries of a bulk enrolment and their outcomes."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from serve_app.domain import PersonFields

FIELDS = tuple(each.name for each in fields(PersonFields))
"""Fields of a person besides the images, as in a request."""


class BadSource(Exception):
    """The source cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """Location of an image file.

    Attributes:
        location: a path, or a URL that fsspec understands.
        size: bytes; None if the file's properties are unknown.
        version: changes with the content: a modification time or a checksum.
    """

    location: str
    size: int | None = None
    version: str = ""

    @property
    def name(self) -> str:
        """File name without folders, for display."""
        return base_name(self.location)


@dataclass(frozen=True, slots=True)
class Entry:
    """A person to enrol, with images; ``fields`` are some of :data:`FIELDS`, JSON-ready."""

    person: str
    files: tuple[PictureFile, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Hash of the images' properties and the fields, 32 hex digits; any change of these changes it."""
        digest = hashlib.sha256(json.dumps(dict(self.fields), sort_keys=True).encode())
        for file in self.files:
            known = file.name if file.size is not None else file.location
            digest.update(f"{known}\0{file.size}\0{file.version}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of a source that is not enrolled, and why; ``is_junk``: left by a system, so that nobody misses it."""

    location: str
    reason: str
    is_junk: bool = False


class Status(StrEnum):
    """Outcome for a person."""

    ENROLLED = "enrolled"  # all images
    PARTIAL = "partial"  # some images; others were refused
    FAILED = "failed"  # no image
    SKIPPED = "skipped"  # already enrolled from the same files


@dataclass(frozen=True, slots=True)
class PictureError:
    """Reason why an image, or with an empty ``file`` the person, was not enrolled."""

    file: str
    code: str
    message: str

    @property
    def name(self) -> str:
        """File name without folders, for display."""
        return base_name(self.file)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome for one person; ``faces`` is the number of faces added."""

    entry: Entry
    status: Status
    faces: int = 0
    errors: tuple[PictureError, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """One line of a report. It is also a manifest line: it has all files and all fields of the person."""
        entry, errors = self.entry, [asdict(error) for error in self.errors]
        person = {"person": entry.person, "files": [file.location for file in entry.files], **entry.fields}
        return {**person, "status": str(self.status), "faces": self.faces, "errors": errors}


def base_name(location: str) -> str:
    """The last part of a location."""
    return posixpath.basename(location.partition("::")[0]) or location


LEFT_OUT = "left_out"
"""Key of the lines of a report about what was left out."""

OF_REPORTS = ("status", "faces", "errors")
"""Keys of a report line that a manifest does not need."""

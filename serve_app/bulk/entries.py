"""Who is to be enrolled, and what became of them."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

FIELDS = (
    "name",
    "gender",
    "date_of_birth",
    "nationality",
    "id_number",
    "address",
    "notes",
    "watch_list",
    "consent",
    "metadata",
)
"""What may be said of a person beside the pictures, as in a request."""


class BadSource(Exception):
    """What was given to enrol from cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """Where a picture is.

    Attributes:
        location: a path, or a URL that fsspec understands.
        size: bytes; None if nothing is known of the file.
        version: changes with the content: a time, a checksum.
    """

    location: str
    size: int | None = None
    version: str = ""

    @property
    def name(self) -> str:
        """Without folders, for people."""
        return base_name(self.location)


@dataclass(frozen=True, slots=True)
class Entry:
    """A person with pictures, and what else is to be stored; ``fields`` are some of :data:`FIELDS`, JSON-ready."""

    person: str
    files: tuple[PictureFile, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Changes when a picture is added, removed or replaced, or a field changes; 32 hex digits."""
        digest = hashlib.sha256(json.dumps(dict(self.fields), sort_keys=True).encode())
        for file in self.files:
            known = file.name if file.size is not None else file.location
            digest.update(f"{known}\0{file.size}\0{file.version}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:32]


class Status(StrEnum):
    """How it went with a person."""

    ENROLLED = "enrolled"  # every picture
    PARTIAL = "partial"  # without the pictures that were refused
    FAILED = "failed"  # not at all
    SKIPPED = "skipped"  # enrolled from the same files before


@dataclass(frozen=True, slots=True)
class PictureError:
    """Why a picture, or with an empty location the person, was not enrolled."""

    file: str
    code: str
    message: str

    @property
    def name(self) -> str:
        """Without folders, for people."""
        return base_name(self.file)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one person; ``faces`` counts those that were added."""

    entry: Entry
    status: Status
    faces: int = 0
    errors: tuple[PictureError, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """One line of a report, which is a manifest as well: all files of the person and all fields are in it."""
        errors = [{"file": error.file, "code": error.code, "message": error.message} for error in self.errors]
        return {
            "person": self.entry.person,
            "files": [file.location for file in self.entry.files],
            **self.entry.fields,
            "status": str(self.status),
            "faces": self.faces,
            "errors": errors,
        }


def base_name(location: str) -> str:
    """The last part of a location."""
    return posixpath.basename(location.partition("::")[0]) or location


OF_REPORTS = ("status", "faces", "errors")
"""What a line of a report has and a manifest does not need."""

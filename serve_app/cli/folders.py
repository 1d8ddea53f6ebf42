"""A folder of photographs as persons: one sub-folder a person, its name the person's id."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, slots=True)
class PersonFolder:
    """A person's pictures, by file name."""

    id: str
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The person's name as people write it."""
        return self.id.replace("_", " ")

    def fingerprint(self) -> str:
        """Changes when a picture is added, removed or replaced: names, sizes and times of the files, as hex digits."""
        digest = hashlib.sha256()
        for file in self.files:
            facts = file.stat()
            digest.update(f"{file.name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Photographs:
    """What a folder holds; ``stray`` are pictures that lie in no person's folder."""

    persons: tuple[PersonFolder, ...]
    stray: tuple[Path, ...]


def read_folder(folder: Path) -> Photographs:
    """Persons by id. Hidden files and folders, and files that are no pictures by their suffix, are passed over."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return Photographs(
        persons=tuple(PersonFolder(path.name, _pictures(path)) for path in entries if path.is_dir()),
        stray=tuple(path for path in entries if _is_picture(path)),
    )


def batches(files: Sequence[Path], most: int, most_bytes: int) -> list[list[Path]]:
    """Consecutive files, at most so many and so many bytes together; a larger file is alone."""
    result: list[list[Path]] = []
    used = 0
    for file in files:
        size = file.stat().st_size if file.exists() else 0
        if not result or len(result[-1]) >= most or used + size > most_bytes:
            result.append([])
            used = 0
        result[-1].append(file)
        used += size
    return result


def _pictures(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.iterdir() if not path.name.startswith(".") and _is_picture(path)))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.is_dir()

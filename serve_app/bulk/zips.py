"""Zips as people have them: written by Windows, macOS and file servers, read under the names that were meant.

A zip can be hostile. What its directory says is read once, within bounds, and before anything is unpacked.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from fsspec.implementations.zip import ZipFileSystem

from serve_app.cancellation import check_wanted

DRIVE = re.compile("^[A-Za-z]:/")
UTF8 = 0x800
"""Bit of a zip entry's flags: its name is UTF-8."""

DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError)
"""Exceptions of reading a zip that is damaged, encrypted, or packed in a way that is not read."""

ENTRY = b"PK\x01\x02"
"""Begin of an entry in a zip's directory."""

ENTRY_BYTES = 1000
"""Accepted mean size of an entry of the directory, with a long name and comments."""

MOST_NAME = 500
MOST_DEPTH = 32
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others unpack everything at once: a million times what was sent."""


@dataclass(frozen=True, slots=True)
class ZipBounds:
    """Bounds of a zip.

    Attributes:
        entries: most entries; also most lines of a manifest in it, and most images that this names.
        manifest_bytes: most bytes of a manifest in it.
    """

    entries: int = 1_000_000
    manifest_bytes: int = 256 * 2**20


class TooManyEntries(zipfile.BadZipFile):
    """The zip's directory is larger than the bounds allow."""


class ReadZip(ZipFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A zip whose names have slashes, neither ``.`` nor empty parts, and the form NFC of Unicode.

    Raises one of :data:`DAMAGED` if it cannot be read; TooManyEntries.

    Attributes:
        left_out: names in the zip that cannot be reached, with the reason.
        bounds: of this zip.
    """

    cachable = False

    def __init__(self, file: IO[bytes], bounds: ZipBounds = ZipBounds()) -> None:
        size = file.seek(0, 2)
        bounded = _BoundedDirectory(file, bounds.entries)
        super().__init__(bounded)
        bounded.opened = True
        self.bounds = bounds
        self.left_out: dict[str, str] = {}
        self.dir_cache: dict[str, dict[str, Any]] = {}
        self._folders: dict[str, dict[str, dict[str, Any]]] = {"": {}}
        archive: zipfile.ZipFile = self.zip
        named: dict[str, zipfile.ZipInfo] = {}
        for info in archive.filelist:
            check_wanted()
            is_folder = info.filename.endswith(("/", "\\"))
            name = inner_path(_written(info)) if len(info.filename) <= MOST_NAME else ""
            if reason := _why_left_out(info, name, not is_folder and name in named):
                self.left_out[info.filename[:MOST_NAME]] = reason
            elif name:
                info.filename = name + "/" if is_folder else name
                named.setdefault(info.filename, info)
                self._note(name, is_folder, info)
        if sum(info.compress_size for info in archive.filelist) > size:
            raise zipfile.BadZipFile("its entries overlap")
        archive.filelist = list(named.values())
        archive.NameToInfo = named

    def _note(self, name: str, is_folder: bool, info: zipfile.ZipInfo | None = None) -> None:
        """Note an entry and the folders that it is in."""
        if is_folder and name in self.dir_cache:
            return
        kind, size = ("directory", 0) if is_folder or info is None else ("file", info.file_size)
        facts = {"name": name, "type": kind, "size": size, "CRC": info.CRC if info is not None else None}
        folder = posixpath.dirname(name)
        self._folders.setdefault(folder, {})[name] = self.dir_cache[name] = facts
        if folder:
            self._note(folder, True)

    def _get_dirs(self) -> None:
        """Of fsspec: fills ``dir_cache``, which is done at once."""

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The entries of a folder, by name. fsspec's own way looks at all entries of the zip for each folder."""
        inner = self._strip_protocol(path).strip("/")
        if inner not in self._folders and self.info(inner)["type"] == "file":
            return [self.info(inner)] if detail else [inner]
        found = dict(sorted(self._folders.get(inner, {}).items()))
        return list(found.values()) if detail else list(found)

    def names(self) -> Iterator[str]:
        """The names of all files."""
        return (info.filename for info in self.zip.filelist if not info.is_dir())


class _BoundedDirectory:
    """A zip's file that refuses to read a large directory.

    zipfile reads the directory in one piece, from where one of two end records says. So the bound holds for what is
    read, and not for what a record says.
    """

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most
        self.opened = False

    def read(self, size: int = -1) -> bytes:
        if self.opened:
            return self._file.read(size)
        if size > self._most * ENTRY_BYTES:
            raise self._too_many()
        content = self._file.read(size)
        if content.count(ENTRY) > self._most:
            raise self._too_many()
        return content

    def _too_many(self) -> TooManyEntries:
        return TooManyEntries(f"it has more than {self._most} entries")

    def __enter__(self) -> _BoundedDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _why_left_out(info: zipfile.ZipInfo, name: str, again: bool) -> str:
    if len(info.filename) > MOST_NAME:
        return f"its path has more than {MOST_NAME} characters"
    parts = name.split("/")
    if ".." in parts:
        return "its path leads out of the zip"
    if len(parts) > MOST_DEPTH:
        return f"it is in more than {MOST_DEPTH} folders"
    if again:
        return "the zip has another file with this name"
    if info.compress_type not in METHODS:
        return "it is packed in another way than deflate"
    return ""


def inner_path(name: str) -> str:
    """The path in a zip that a name means, without a drive's letter."""
    parts = unicodedata.normalize("NFC", DRIVE.sub("", name.replace("\\", "/"))).split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _written(info: zipfile.ZipInfo) -> str:
    """The name as it was written. macOS writes UTF-8 without its flag, which is then read as code page 437."""
    if not info.flag_bits & UTF8:
        with contextlib.suppress(UnicodeError):
            return info.filename.encode("cp437").decode()
    return info.filename

"""Zips as people have them: written by Windows, macOS and file servers, read under the names that were meant."""

from __future__ import annotations

import contextlib
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from typing import IO

from fsspec.implementations.zip import ZipFileSystem

DRIVE = re.compile("^[A-Za-z]:/")
UTF8 = 0x800
"""Bit of a zip entry's flags: its name is UTF-8."""


class ReadZip(ZipFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A zip whose names have slashes, neither ``.`` nor empty parts, and the form NFC of Unicode.

    Attributes:
        left_out: names in the zip that cannot be reached, with the reason.
    """

    cachable = False

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.left_out: dict[str, str] = {}
        archive: zipfile.ZipFile = self.zip
        named: dict[str, zipfile.ZipInfo] = {}
        for info in archive.filelist:
            name = inner_path(_written(info)) + ("/" if info.filename.endswith(("/", "\\")) else "")
            if ".." in name.split("/"):
                self.left_out[info.filename] = "its path leads out of the zip"
            elif name in named and not info.is_dir():
                self.left_out[info.filename] = "the zip has another file with this name"
            elif name != "/":
                info.filename = name
                named.setdefault(name, info)
        archive.filelist = list(named.values())
        archive.NameToInfo = named

    def names(self) -> Iterator[str]:
        """The names of all files."""
        return (info.filename for info in self.zip.filelist if not info.is_dir())


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

"""Access to files on this machine, in zips and on other file systems of fsspec, by location."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serve_app.bulk.entries import PictureFile
from serve_app.bulk.zips import ReadZip

VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "updated", "mtime", "CRC")
"""Keys under which file systems report a value that changes with the content."""


class NotRead(Exception):
    """An image could not be read; ``code`` is for programs."""

    code = "unreadable"


class Unreadable(NotRead):
    """The file does not exist or cannot be read."""


class PictureTooLarge(NotRead):
    """The file has more bytes than the service accepts."""

    code = "image_too_large"


@dataclass(frozen=True, slots=True)
class Child:
    """A file or sub-folder of a folder."""

    name: str
    is_folder: bool
    file: PictureFile


class Files:
    """Reads files by location: a path, or a URL of fsspec such as ``s3://...`` or ``zip://a::b.zip``. Thread-safe.

    Methods raise Unreadable.
    """

    def __init__(self) -> None:
        self._local = LocalFileSystem()
        self._archives: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read(self, location: str, most: int) -> bytes:
        """The content of a file of at most ``most`` bytes; no more is read into memory. Raises PictureTooLarge."""
        try:
            system, path = self.find(location)
            if system is self._local and stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116
                raise Unreadable("This is a named pipe and no file.")  # opening it would wait for a writer
            with system.open(path, "rb") as file:
                content: bytes = file.read(most + 1)
        except NotRead:
            raise
        except Exception as error:  # file systems raise their libraries' exceptions
            raise Unreadable(_words(error)) from error
        if len(content) > most:
            raise PictureTooLarge(f"The file has more than {most} bytes, the most that are accepted for an image.")
        return content

    def mount(self, name: str, system: Any) -> None:
        """Add an open archive; ``zip://path::name`` then refers to a file in it."""
        self._archives[name] = system

    def find(self, location: str) -> tuple[Any, str]:
        """The file system of a location, and the path in it."""
        if is_local(location):
            return self._local, os.path.abspath(location)  # noqa: PTH100 - without following links
        inner, _, archive = location.partition("::")
        try:
            if not archive:
                system, path = fsspec.core.url_to_fs(location)
                return system, path
            with self._lock:  # fsspec would open the archive again for each file
                if archive not in self._archives:
                    protocol = inner.partition("://")[0]
                    self._archives[archive] = (
                        ReadZip(fsspec.open(archive, "rb").open())
                        if protocol == "zip"
                        else fsspec.core.url_to_fs(f"{protocol}://::{archive}")[0]
                    )
                return self._archives[archive], inner.partition("://")[2]
        except Exception as error:  # as above
            raise Unreadable(_words(error)) from error

    def describe(self, location: str) -> PictureFile:
        """The file of a location, with size and version if it is local or in an archive.

        On other file systems these would take one request per file.
        """
        system, path = self.find(location)
        with contextlib.suppress(OSError):  # reading the file reports the error
            if system is self._local:
                facts = os.stat(path)  # noqa: PTH116
                return PictureFile(location, facts.st_size, str(facts.st_mtime_ns))
            if "::" in location:
                return _described(location, system.info(path))
        return PictureFile(location)

    def children(self, location: str) -> Iterator[Child]:
        """The files and sub-folders of a folder, in any order."""
        system, path = self.find(location)
        if system is self._local:
            with os.scandir(path) as found:  # streamed: a gallery can have a million folders
                for item in found:
                    is_folder = False
                    with contextlib.suppress(OSError):  # a symbolic link that leads to itself
                        is_folder = item.is_dir()
                    yield Child(item.name, is_folder, self.describe(item.path))
            return
        inner, separator, archive = location.partition("::")
        base = inner if inner.endswith("://") else inner.rstrip("/") + "/"
        try:
            listed = system.ls(path, detail=True)
        except Exception as error:  # as above
            raise Unreadable(_words(error)) from error
        for facts in listed:
            full_name = str(facts["name"]).rstrip("/")
            name = full_name.rsplit("/", 1)[-1]
            if name and full_name != path.rstrip("/"):
                file = _described(f"{base}{name}{separator}{archive}", facts)
                yield Child(name, facts["type"] == "directory", file)

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives.values():
            archive.close()


def is_local(location: str) -> bool:
    """Whether a location is a path on this machine."""
    return location.startswith("/") or not ("://" in location or "::" in location)


def _described(location: str, facts: dict[str, Any]) -> PictureFile:
    version = next((str(facts[name]) for name in VERSIONS if facts.get(name) is not None), "")
    return PictureFile(location, facts.get("size"), version)


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "There is no such file."
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__

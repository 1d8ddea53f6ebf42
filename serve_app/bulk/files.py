"""Files on this machine, in zips and on whatever else fsspec knows, by one kind of location."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serve_app.bulk.entries import PictureFile

VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "updated", "mtime", "CRC")
"""What file systems call that which changes with the content."""


class NotRead(Exception):
    """Why a picture could not be had; ``code`` is for programs."""

    code = "unreadable"


class Unreadable(NotRead):
    """There is no such file, or it cannot be read."""


class PictureTooLarge(NotRead):
    """A file has more bytes than the service takes."""

    code = "image_too_large"


@dataclass(frozen=True, slots=True)
class Child:
    """What lies in a folder."""

    name: str
    is_folder: bool
    file: PictureFile


class Files:
    """Reads files. Thread-safe. A location is a path, or a URL as fsspec has them: ``s3://...``, ``zip://a::b.zip``.

    Methods raise Unreadable.
    """

    def __init__(self) -> None:
        self._local = LocalFileSystem()
        self._archives: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read(self, location: str, most: int) -> bytes:
        """The content, which is never more than ``most`` bytes in memory. Raises PictureTooLarge."""
        try:
            system, path = self.find(location)
            with system.open(path, "rb") as file:
                content: bytes = file.read(most + 1)
        except Exception as error:  # file systems raise whatever their libraries do
            raise Unreadable(_words(error)) from error
        if len(content) > most:
            raise PictureTooLarge(f"The file has more than the {most} bytes that a picture may have.")
        return content

    def mount(self, name: str, system: Any) -> None:
        """An archive that is open already: ``zip://path::name`` is in it from now on."""
        self._archives[name] = system

    def find(self, location: str) -> tuple[Any, str]:
        """The file system and the path in it."""
        if is_local(location):
            return self._local, os.path.abspath(location)  # noqa: PTH100 - without following links
        inner, _, archive = location.partition("::")
        try:
            if not archive:
                system, path = fsspec.core.url_to_fs(location)
                return system, path
            with self._lock:  # fsspec would open the archive again for each file
                if archive not in self._archives:
                    self._archives[archive] = fsspec.core.url_to_fs(f"{inner.partition('://')[0]}://::{archive}")[0]
                return self._archives[archive], inner.partition("://")[2]
        except Exception as error:  # as above
            raise Unreadable(_words(error)) from error

    def describe(self, location: str) -> PictureFile:
        """With size and version for files of this machine and of archives; elsewhere that would take a request each."""
        system, path = self.find(location)
        try:
            if system is self._local:
                facts = os.stat(path)  # noqa: PTH116
                return PictureFile(location, facts.st_size, str(facts.st_mtime_ns))
            if "::" in location:
                return _described(location, system.info(path))
        except OSError:
            return PictureFile(location)  # reading it will say what is wrong
        return PictureFile(location)

    def children(self, location: str) -> Iterator[Child]:
        """What lies in a folder, in any order; hidden files and folders are passed over."""
        system, path = self.find(location)
        if system is self._local:
            with os.scandir(path) as found:  # streamed: a gallery may have a million folders
                for item in found:
                    if not item.name.startswith("."):
                        yield Child(item.name, item.is_dir(), self.describe(item.path))
            return
        inner, separator, archive = location.partition("::")
        base = inner if inner.endswith("://") else inner.rstrip("/") + "/"
        try:
            listed = system.ls(path, detail=True)
        except Exception as error:  # as above
            raise Unreadable(_words(error)) from error
        for facts in listed:
            whole = str(facts["name"]).rstrip("/")
            name = whole.rsplit("/", 1)[-1]
            if name and not name.startswith((".", "__MACOSX")) and whole != path.rstrip("/"):
                file = _described(f"{base}{name}{separator}{archive}", facts)
                yield Child(name, facts["type"] == "directory", file)

    def close(self) -> None:
        """Close archives."""
        for archive in self._archives.values():
            archive.close()


def is_local(location: str) -> bool:
    """Whether it is a path of this machine."""
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

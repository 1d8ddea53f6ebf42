"""Images store: blobs in a local folder or an object store (any fsspec URL).

In a folder, a blob is written under a temporary name, synchronised to disk and renamed, so that no name ever has an
incomplete image. Object stores write an object completely or not at all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serve_app.errors import ConfigurationError, StoreUnavailable
from serve_app.folders import private_folder
from serve_app.gallery.checks import is_id
from serve_app.gallery.sql.encryption import Cipher, decrypted
from serve_app.observability import store_metrics, tracing

log = logging.getLogger(__name__)

Kind = Literal["thumbnail", "photograph", "upload"]
KINDS: tuple[Kind, ...] = ("thumbnail", "photograph")
"""Kinds of blobs of a face. A blob of the kind ``upload`` belongs to no face and has a separate id."""


class BlobStore:
    """Blobs by tenant, face and kind.

    ``url`` is an fsspec URL of a folder, which is created. ``cipher`` encrypts what is written; None writes it in the
    clear. Raises ConfigurationError: there is no such file system, or the folder cannot be created or written to.
    """

    def __init__(self, url: str, cipher: Cipher | None = None) -> None:
        self._cipher = cipher
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"storage.blobs_url: {error}") from None
        self._local = isinstance(self._fs, LocalFileSystem)
        if self._local:
            private_folder(Path(self._root))

    def write(self, tenant: str, face_id: str, kind: Kind, content: bytes) -> None:
        """Store a blob durably, in place of an earlier one. Raises StoreUnavailable."""
        path = self._path(tenant, face_id, kind)
        if self._cipher is not None:
            content = self._cipher.encrypt(content, _context(face_id, kind))
        with _outages(), tracing.span("images write"):
            if self._local:
                _write_file(Path(path), content)
            else:
                self._fs.pipe_file(path, content)

    def read(self, tenant: str, face_id: str, kind: Kind) -> bytes | None:
        """The content of a blob, None if there is none. Raises StoreUnavailable."""
        with _outages(), tracing.span("images read"):
            try:
                content: bytes = self._fs.cat_file(self._path(tenant, face_id, kind))
            except FileNotFoundError:
                return None
            return decrypted(self._cipher, content, _context(face_id, kind))

    def delete(self, tenant: str, face_id: str, kinds: Sequence[Kind] = KINDS) -> None:
        """Erase the blobs of a face, if there are any. Raises StoreUnavailable."""
        with _outages(), tracing.span("images delete"):
            for kind in kinds:
                path = self._path(tenant, face_id, kind)
                if self._local:
                    Path(path).unlink(missing_ok=True)
                    _temporary(Path(path)).unlink(missing_ok=True)  # left by a writer that died
                else:
                    try:
                        self._fs.rm_file(path)
                    except FileNotFoundError:
                        continue
            if not self._local:
                self._fs.invalidate_cache()

    def delete_tenant(self, tenant: str) -> None:
        """Erase all blobs of a tenant. Raises StoreUnavailable."""
        with _outages(), tracing.span("images delete"):
            folder = self._folder(tenant)
            if self._fs.exists(folder):
                self._fs.rm(folder, recursive=True)

    def count(self, tenant: str) -> int:
        """Number of blobs of a tenant. Raises StoreUnavailable."""
        with _outages(), tracing.span("images count"):
            self._fs.invalidate_cache()
            return len(self._fs.find(self._folder(tenant)))

    def count_of_face(self, tenant: str, face_id: str) -> int:
        """Number of blobs of a face. Raises StoreUnavailable."""
        with _outages(), tracing.span("images count"):
            self._fs.invalidate_cache()
            return sum(self._fs.exists(self._path(tenant, face_id, kind)) for kind in KINDS)

    def _folder(self, tenant: str) -> str:
        if not is_id(tenant):
            raise ValueError(f"not the id of a tenant: {tenant!r}")
        return f"{self._root}/{tenant}"

    def _path(self, tenant: str, face_id: str, kind: Kind) -> str:
        if not is_id(tenant) or not is_id(face_id) or kind not in (*KINDS, "upload"):
            raise ValueError(f"not the name of a blob: {tenant!r}, {face_id!r}, {kind!r}")
        # Two levels of 256 folders each, so that folders stay small with millions of faces.
        return f"{self._folder(tenant)}/{face_id[:2]}/{face_id[2:4]}/{face_id}.{kind}"


def _context(face_id: str, kind: Kind) -> bytes:
    return f"{face_id}.{kind}".encode()


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # fsspec's file systems raise it, for timeouts too
        store_metrics.failed("images")
        log.warning("images store: %s", error)
        raise StoreUnavailable("The images store does not answer; try again.") from error


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = _temporary(path)
    try:
        with open(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")  # each blob has one writer, so no two writers use this name


def _sync_folder(folder: Path) -> None:
    descriptor: Any = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # makes the rename durable
    finally:
        os.close(descriptor)

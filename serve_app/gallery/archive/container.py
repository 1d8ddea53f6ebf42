"""Format of an archive: a tar file of JSON lines and images, whose last member has checksums for ``sha256sum -c``.

    manifest.json                     format, version, time of creation
    erased.jsonl                      ids of what was erased (tombstones)
    tenants.jsonl keys.jsonl collections.jsonl
    people/000001.jsonl               persons with their faces; followed by the images of these faces
    images/<face id>.thumbnail        images as they were stored
    SHA256SUMS                        checksums of all members above, in their order

An archive is written and read as a stream. Neither needs more memory than one member.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any

from serve_app.errors import InvalidRequest

CHECKSUMS = "SHA256SUMS"
MAX_MEMBER = 256 * 2**20
_NAME = re.compile(r"[a-z0-9_]+(?:/[a-z0-9_]+)?\.[a-z]+|" + CHECKSUMS)


class ArchiveDamaged(InvalidRequest):
    """The file is no archive of facegraph, was changed or cut off, or has records that cannot be used."""

    code, status = "archive_damaged", 400


class ArchiveWriter:
    """Writes members to a stream. A context manager: leaving it without an error completes the archive."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._sums = tempfile.SpooledTemporaryFile(2**20)  # noqa: SIM115

    def add(self, name: str, content: bytes) -> None:
        """Write one member."""
        self._sums.write(_line(name, content))
        self._add(name, len(content), io.BytesIO(content))

    def _add(self, name: str, size: int, content: IO[bytes]) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, content)

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._sums:
            if error is None:
                size = self._sums.tell()
                self._sums.seek(0)
                self._add(CHECKSUMS, size, self._sums)
                self._tar.close()


class ArchiveReader:
    """Reads the members of an archive, in order, from a stream; each time from the start.

    Attributes:
        checked: the ``sizes`` that :func:`~.checking.check_archive` checked it for; None before.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.checked: dict[str, int] | None = None
        self._stream = stream
        self._start = stream.tell()

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Names and contents of the members. The checksums are compared after the last one.

        Raises ArchiveDamaged: it is not an archive, is cut off, or was changed.
        """
        digest = hashlib.sha256()
        self._stream.seek(self._start)
        try:
            with tarfile.open(fileobj=self._stream, mode="r|") as tar:
                for member in tar:
                    content = _content(tar, member)
                    if member.name == CHECKSUMS:
                        if hashlib.sha256(content).digest() != digest.digest():
                            raise ArchiveDamaged("The archive was changed: its checksums do not match its content.")
                        return
                    digest.update(_line(member.name, content))
                    yield member.name, content
        except (tarfile.TarError, EOFError) as error:
            raise ArchiveDamaged(f"This is not a complete archive of facegraph: {error}.") from error
        raise ArchiveDamaged("The archive is cut off: its checksums are missing.")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    limit = 2**40 if member.name == CHECKSUMS else MAX_MEMBER
    if not member.isreg() or member.issparse() or not _NAME.fullmatch(member.name) or member.size > limit:
        raise ArchiveDamaged(f"The archive has a member that facegraph does not write: {member.name[:100]!r}.")
    source: Any = tar.extractfile(member)
    content: bytes = source.read()
    if len(content) != member.size:
        raise ArchiveDamaged("The archive is cut off.")
    return content


def _line(name: str, content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()

"""Encryption of a stream with a passphrase: AES-256-GCM in chunks, with a key derived by scrypt.

The chunks follow the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar 2015). Each nonce consists of 7 random
bytes of the stream, a counter, and a flag of the last chunk. So chunks cannot be changed, omitted, repeated, swapped or
cut off without being noticed.
"""

from __future__ import annotations

import io
import os
import struct
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from serve_app.gallery.archive.container import ArchiveDamaged

MAGIC = b"facegraph-sealed-1\n"
CHUNK = 2**20
TAG = 16
SALT = 16
PREFIX = 7
COST = 2**17
"""scrypt's N, with r = 8 and p = 1: 128 MiB and some tenths of a second for each guess at the passphrase."""


class EncryptedWriter(io.RawIOBase):
    """Encrypts what is written to it. ``close`` writes the last chunk and leaves the underlying stream open."""

    def __init__(self, stream: IO[bytes], passphrase: str) -> None:
        super().__init__()
        salt, self._prefix = os.urandom(SALT), os.urandom(PREFIX)
        self._header = MAGIC + salt + self._prefix
        self._cipher = AESGCM(_key(passphrase, salt))
        self._stream = stream
        self._stream.write(self._header)
        self._waiting = bytearray()
        self._counter = 0

    def writable(self) -> bool:
        """Always True."""
        return True

    def write(self, content: object) -> int:
        """Encrypt and write bytes; their number."""
        view = memoryview(content)  # type: ignore[arg-type]
        self._waiting += view
        while len(self._waiting) > CHUNK:  # the last chunk is only empty if the whole content is
            self._put(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return view.nbytes

    def close(self) -> None:
        """Write the last chunk."""
        if not self.closed:
            self._put(bytes(self._waiting), last=True)
        super().close()

    def _put(self, content: bytes, last: bool) -> None:
        nonce = _nonce(self._prefix, self._counter, last)
        self._stream.write(self._cipher.encrypt(nonce, content, self._header))
        self._counter += 1


class EncryptedReader(io.RawIOBase):
    """Decrypts a stream. Reads raise ArchiveDamaged: a wrong passphrase, or the stream was changed or cut off."""

    def __init__(self, stream: IO[bytes], passphrase: str) -> None:
        super().__init__()
        self._stream = stream
        self._start = stream.tell()
        self._header = stream.read(len(MAGIC) + SALT + PREFIX)
        salt, self._prefix = self._header[len(MAGIC) : -PREFIX], self._header[-PREFIX:]
        self._cipher = AESGCM(_key(passphrase, salt))
        self.seek(0)

    def readable(self) -> bool:
        """Always True."""
        return True

    def seekable(self) -> bool:
        """Always True, but see :meth:`seek`."""
        return True

    def tell(self) -> int:
        """Number of bytes that were read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Begin anew; any other position is refused."""
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("an encrypted archive is read from its start")
        self._stream.seek(self._start + len(self._header))
        self._counter = self._position = 0
        self._ready = b""
        self._following: bytes | None = self._stream.read(CHUNK + TAG)
        return 0

    def readinto(self, buffer: object) -> int:
        """See :class:`io.RawIOBase`."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        if not self._ready:
            self._ready = self._chunk()
        part, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _chunk(self) -> bytes:
        if self._following is None:
            return b""
        encrypted, following = self._following, self._stream.read(CHUNK + TAG)
        last = not following
        self._following = None if last else following
        try:
            content = self._cipher.decrypt(_nonce(self._prefix, self._counter, last), encrypted, self._header)
        except (InvalidTag, ValueError):
            first = (
                "The passphrase is not the one of the export, or the archive" if self._counter == 0 else "The archive"
            )
            raise ArchiveDamaged(f"The archive cannot be decrypted. {first} was changed or cut off.") from None
        self._counter += 1
        return content


def is_encrypted(start: bytes) -> bool:
    """Whether a file that starts with these bytes is an encrypted archive."""
    return start.startswith(MAGIC)


def _nonce(prefix: bytes, counter: int, last: bool) -> bytes:
    return prefix + struct.pack(">IB", counter, last)


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=COST, r=8, p=1).derive(passphrase.encode())

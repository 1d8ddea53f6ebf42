"""Encryption at rest: AES-256-GCM (NIST SP 800-38D) with a random nonce for each value, and several keys at once.

The first key encrypts, all keys decrypt. To change the key, put the new one first, run ``facegraph reencrypt``, and
remove the old one. Values that were stored without encryption stay readable.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from serve_app.errors import ConfigurationError
from serve_app.settings import Settings

MAGIC = b"\xffsealed1"
"""First bytes of every encrypted value. No image begins with them, and no template: read as a little-endian float32,
the first four are no component of a unit vector."""

KEY_BYTES, LABEL_BYTES, NONCE_BYTES = 32, 8, 12
HEADER = len(MAGIC) + LABEL_BYTES + NONCE_BYTES


class Cipher:
    """Encrypts and decrypts values with at least one key of 32 bytes; the first one encrypts."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._first = _label(keys[0])
        self._by_label = {_label(key): AESGCM(key) for key in keys}

    def encrypt(self, content: bytes, context: bytes = b"") -> bytes:
        """Encrypt a value.

        ``context`` is authenticated with the value, and needed again to decrypt it, so that a stored value cannot be
        replaced by another one.
        """
        nonce = os.urandom(NONCE_BYTES)
        header = MAGIC + self._first + nonce
        return header + self._by_label[self._first].encrypt(nonce, content, header + context)

    def decrypt(self, encrypted: bytes, context: bytes = b"") -> bytes:
        """The inverse of :meth:`encrypt`; a value that is not encrypted is returned unchanged.

        Raises ConfigurationError: the key is not among those of this cipher, or the value or its context was changed.
        """
        if not encrypted.startswith(MAGIC):
            return encrypted
        header, label = encrypted[:HEADER], encrypted[len(MAGIC) : len(MAGIC) + LABEL_BYTES]
        cipher = self._by_label.get(label)
        if cipher is None:
            raise _key_missing()
        try:
            return cipher.decrypt(header[-NONCE_BYTES:], encrypted[HEADER:], header + context)
        except InvalidTag:
            raise ConfigurationError("An encrypted value is damaged, or was replaced by another one.") from None


class EncryptedBytes(sa.types.TypeDecorator[bytes]):
    """A column of bytes, encrypted if the engine's dialect carries a cipher (see :class:`~.database.Database`)."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: sa.Dialect) -> bytes | None:
        """Encrypt a value to be stored."""
        cipher = cipher_in(dialect)
        return value if value is None or cipher is None else cipher.encrypt(value)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> bytes | None:
        """Decrypt a stored value."""
        return None if value is None else decrypted(cipher_in(dialect), bytes(value))


def cipher_in(dialect: sa.Dialect) -> Cipher | None:
    """The cipher that :class:`~.database.Database` attached to its engine's dialect; None if there is none."""
    return getattr(dialect, "facegraph_cipher", None)


def decrypted(cipher: Cipher | None, stored: bytes, context: bytes = b"") -> bytes:
    """A stored value, decrypted if it is encrypted. Raises ConfigurationError: there is no key for it."""
    if cipher is not None:
        return cipher.decrypt(stored, context)
    if stored.startswith(MAGIC):
        raise _key_missing()
    return stored


def cipher_from_settings(settings: Settings) -> Cipher | None:
    """The cipher with the keys of the settings; None if they name no key.

    Raises ConfigurationError: a key is not 32 bytes as base64, or the file cannot be read.
    """
    text = settings.storage.encryption_key.get_secret_value().replace(",", "\n")
    if settings.storage.encryption_key_file is not None:
        try:
            text += "\n" + settings.storage.encryption_key_file.read_text("ascii")
        except (OSError, ValueError):
            raise ConfigurationError("storage.encryption_key_file cannot be read.") from None
    keys = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            key = base64.b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise ConfigurationError("An encryption key is 32 bytes as base64: openssl rand -base64 32")
        keys.append(key)
    return Cipher(keys) if keys else None


def _label(key: bytes) -> bytes:
    return hashlib.sha256(b"facegraph key label" + key).digest()[:LABEL_BYTES]


def _key_missing() -> ConfigurationError:
    return ConfigurationError(
        "A stored value is encrypted with a key that is not among storage.encryption_key and "
        "storage.encryption_key_file."
    )

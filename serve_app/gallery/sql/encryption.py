"""Encryption at rest: AES-256-GCM (NIST SP 800-38D) with a random nonce for each value, several keys side by side.

The first key encrypts, all of them decrypt, so that a key is changed by putting a new one in front, running
``facegraph reencrypt``, and taking the old one away. What was stored without a key stays readable.
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
"""Begins what is sealed. No image begins so, and no template: as a float32 it is no component of a unit vector."""

KEY_BYTES, LABEL_BYTES, NONCE_BYTES = 32, 8, 12
HEADER = len(MAGIC) + LABEL_BYTES + NONCE_BYTES


class Cipher:
    """Seals values.

    Args:
        keys: of 32 bytes each, at least one; the first one encrypts.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._first = _label(keys[0])
        self._by_label = {_label(key): AESGCM(key) for key in keys}

    def encrypt(self, content: bytes, context: bytes = b"") -> bytes:
        """Encrypted; ``context`` is what it must be opened with, so that values cannot be exchanged."""
        nonce = os.urandom(NONCE_BYTES)
        header = MAGIC + self._first + nonce
        return header + self._by_label[self._first].encrypt(nonce, content, header + context)

    def decrypt(self, sealed: bytes, context: bytes = b"") -> bytes:
        """The inverse; what is not sealed is returned as it is.

        Raises:
            ConfigurationError: sealed with a key that is not given, or changed.
        """
        if not sealed.startswith(MAGIC):
            return sealed
        header, label = sealed[:HEADER], sealed[len(MAGIC) : len(MAGIC) + LABEL_BYTES]
        cipher = self._by_label.get(label)
        if cipher is None:
            raise _locked()
        try:
            return cipher.decrypt(header[-NONCE_BYTES:], sealed[HEADER:], header + context)
        except InvalidTag:
            raise ConfigurationError("An encrypted value is damaged or was exchanged for another.") from None


class EncryptedBytes(sa.types.TypeDecorator[bytes]):
    """Bytes that are sealed where the engine's dialect carries a cipher; see :class:`~.database.Database`."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: sa.Dialect) -> bytes | None:
        """EncryptedBytes on the way in."""
        cipher = cipher_in(dialect)
        return value if value is None or cipher is None else cipher.encrypt(value)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> bytes | None:
        """Opened on the way out."""
        return None if value is None else decrypted(cipher_in(dialect), bytes(value))


def cipher_in(dialect: sa.Dialect) -> Cipher | None:
    """That of the engine whose dialect it is."""
    return getattr(dialect, "facegraph_cipher", None)


def decrypted(cipher: Cipher | None, stored: bytes, context: bytes = b"") -> bytes:
    """The value. Raises ConfigurationError: it is sealed and there is no key for it."""
    if cipher is not None:
        return cipher.decrypt(stored, context)
    if stored.startswith(MAGIC):
        raise _locked()
    return stored


def cipher_from_settings(settings: Settings) -> Cipher | None:
    """The cipher that the settings give keys for; None without keys.

    Raises:
        ConfigurationError: a key is not 32 bytes as base64, or the file cannot be read.
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


def _locked() -> ConfigurationError:
    return ConfigurationError(
        "Something stored is encrypted with a key that is not among storage.encryption_key and "
        "storage.encryption_key_file."
    )

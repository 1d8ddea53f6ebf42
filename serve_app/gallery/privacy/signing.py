"""Signatures of this installation: Ed25519 (RFC 8032).

The key is generated at the first start and stored in the records.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from serve_app.domain import ErasureReceipt, canonical
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.schema import installation


class Signer:
    """Signs with one private key (32 bytes). ``public_key`` is base64."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def receipt(self, statement: Mapping[str, Any]) -> ErasureReceipt:
        """A receipt: the statement with its signature."""
        signature = base64.b64encode(self._key.sign(canonical(statement))).decode()
        return ErasureReceipt(statement, self.public_key, signature)


def is_genuine(receipt: ErasureReceipt, public_key: str) -> bool:
    """Whether the holder of this key (base64) signed exactly this statement. Needs no store."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(receipt.signature, validate=True), canonical(receipt.statement))
    except (InvalidSignature, ValueError, binascii.Error, TypeError):
        return False
    return receipt.public_key == public_key


def load_signer(database: Database) -> Signer:
    """The installation's signer. Generates the key if there is none; all processes get the same one.

    Raises StoreUnavailable.
    """
    column = installation.c.signing_key

    def work(connection: sa.Connection) -> bytes:
        connection.execute(
            installation.update()
            .where(column.is_(None))
            .values(signing_key=Ed25519PrivateKey.generate().private_bytes_raw())
        )
        return bytes(connection.execute(sa.select(column)).scalar_one())

    with database.read() as connection:
        private = connection.execute(sa.select(column)).scalar_one()
    return Signer(bytes(private) if private is not None else database.transact(work))

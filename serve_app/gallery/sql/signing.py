"""Signatures of this installation: Ed25519 (RFC 8032), over receipts of erasures and over heads of audit chains.

The key is generated when the schema is migrated for the first time, and stored in the records.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from serve_app.domain import ErasureReceipt, canonical
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.schema import installation

HEAD = "facegraph audit head 1"
"""Format of the signed statement about the head of a chain; no receipt has this."""


class Signer:
    """Signs with one private key (32 bytes). ``public_key`` is base64."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def receipt(self, statement: Mapping[str, Any]) -> ErasureReceipt:
        """A receipt: the statement with its signature."""
        return ErasureReceipt(statement, self.public_key, self.signature(statement))

    def signature(self, statement: Mapping[str, Any]) -> str:
        """The signature of a statement, base64; always the same one."""
        return base64.b64encode(self._key.sign(canonical(statement))).decode()


def is_genuine(receipt: ErasureReceipt, public_key: str) -> bool:
    """Whether the holder of this key (base64) signed exactly this statement. Needs no store."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(receipt.signature, validate=True), canonical(receipt.statement))
    except (InvalidSignature, ValueError, binascii.Error, TypeError):
        return False
    return receipt.public_key == public_key


def sign_head(signer: Signer, chain: str, sequence: int, hash_: str) -> str:
    """The signature of a chain's head: it says that the chain ends with this entry, and with no later one."""
    return signer.signature({"statement": HEAD, "chain": chain, "sequence": sequence, "hash": hash_})


def digest(entry: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over an entry of a chain without its hash, JSON-ready."""
    return hashlib.sha256(canonical(entry)).hexdigest()


def new_private_key() -> bytes:
    """A new private key."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def load_signer(database: Database) -> Signer:
    """The installation's signer. Raises StoreUnavailable."""
    with database.read() as connection:
        return signer_of(connection)


def signer_of(connection: sa.Connection) -> Signer:
    """The installation's signer, which is read once for each engine."""
    signer = _signers.get(connection.engine)
    if signer is None:
        signer = Signer(bytes(connection.execute(sa.select(installation.c.signing_key)).scalar_one()))
        _signers[connection.engine] = signer
    return signer


_signers: WeakKeyDictionary[sa.Engine, Signer] = WeakKeyDictionary()

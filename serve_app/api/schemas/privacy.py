"""Responses to deletions, receipts of erasures, and the audit log."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import Field

from serve_app.api.schemas.base import Answer, Body, NextPage, View
from serve_app.domain import AuditCheck, Deletion, ErasureReceipt

EXAMPLE_RECEIPT = {
    "statement": {"statement": "facegraph erasure 1", "persons": ["ada"], "faces": 3},
    "public_key": "MCowBQYDK2VwAyEA...",
    "signature": "kq0r...",
}


class ReceiptView(View):
    """A signed statement that persons were erased and that no data of them were found afterwards. It is not stored."""

    statement: dict[str, Any] = Field(description="The signed content.", examples=[EXAMPLE_RECEIPT["statement"]])
    public_key: str = Field(description="The installation's Ed25519 key, base64.")
    signature: str = Field(
        description="Ed25519 over the statement as JSON with sorted keys, without spaces, in UTF-8; base64."
    )


class DeletionAnswer(Answer):
    """The result of a deletion."""

    deleted: bool = Field(description="Always true: the named item is no longer where it was.")
    erased: bool = Field(description="Whether it no longer exists; false: it is still in other collections.")
    persons: int = Field(description="Number of persons that no longer exist.", examples=[1])
    faces: int = Field(description="Number of faces that no longer exist.", examples=[3])
    receipt: ReceiptView | None = Field(None, description="Proof that named persons were erased; the only copy.")

    @classmethod
    def of(cls, done: Deletion) -> DeletionAnswer:
        """Build from the domain value."""
        return cls(deleted=True, erased=done.erased, persons=done.persons, faces=done.faces, receipt=done.receipt)


class ReceiptBody(Body):
    """A receipt, as returned by a deletion."""

    @classmethod
    def most_values(cls, size: int) -> int:
        """A receipt names every erased person twice, by an id and by a subject of 32 digits."""
        return max(super().most_values(size), min(size // 16, 1_000_000))

    statement: dict[Annotated[str, Field(max_length=100)], Any] = Field(max_length=100)
    public_key: str = Field(max_length=100)
    signature: str = Field(max_length=200)

    def to_domain(self) -> ErasureReceipt:
        """Convert for the gallery."""
        return ErasureReceipt(self.statement, self.public_key, self.signature)


class ReceiptChecked(View):
    """The result of checking a receipt."""

    genuine: bool = Field(description="Whether this installation signed exactly this statement, for this tenant.")
    recorded: bool = Field(description="Whether the audit log still has the entry of the erasure.")
    residue: int = Field(description="Number of records of the erased persons that are stored now.", examples=[0])


class AuditEntryView(View):
    """An entry of the audit log."""

    chain: str = Field(description="The chain of entries: a tenant's, or the installation's.")
    sequence: int = Field(examples=[17])
    time: dt.datetime
    actor: str = Field(description="`key:` and the id of an API key, or `internal`.")
    action: str = Field(examples=["search"])
    subjects: list[str] = Field(description="Internal ids of persons; they refer to no one once the person is erased.")
    collections: list[str] = Field(description="Ids of collections.")
    details: dict[str, Any] = Field(examples=[{"faces": 1, "matches": 1}])
    previous: str = Field(description="The hash of the previous entry.")
    hash: str = Field(description="SHA-256 of the entry and the previous hash.")


class AuditPage(Answer):
    """A page of the audit log, newest first."""

    entries: list[AuditEntryView]
    cursor: NextPage


class AuditPositionView(View):
    """An entry of the audit log."""

    sequence: int = Field(examples=[17])
    time: dt.datetime


class NotedHeadView(View):
    """What became of the hash that was sent as `head`."""

    found: bool = Field(description="Whether an entry has it. False: it was cut off, or was erased by age.")
    sequence: int | None = Field(description="The number of that entry.", examples=[1017])
    later: int = Field(description="Number of entries that came since.", examples=[24])


class AuditChecked(Answer):
    """The result of checking the audit log."""

    whole: bool
    entries: int = Field(description="Number of checked entries.", examples=[1041])
    broken: int | None = Field(description="Sequence number of the first changed or missing entry, if any.")
    head: str = Field(description="The last hash. Stored elsewhere, it proves later that no entries were cut off.")
    reason: str = Field(description="What is wrong; empty if the log is whole.", examples=[""])
    first: AuditPositionView | None = Field(description="The first checked entry.")
    last: AuditPositionView | None = Field(description="The last checked entry.")
    noted: NotedHeadView | None = Field(None, description="About the hash sent as `head`, if one was sent.")

    @classmethod
    def of(cls, check: AuditCheck) -> AuditChecked:
        """Build from the domain value."""
        return cls(
            whole=check.broken is None,
            **{
                name: getattr(check, name) for name in ("entries", "broken", "head", "reason", "first", "last", "noted")
            },
        )

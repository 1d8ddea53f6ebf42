"""Deletions, receipts of erasures, and the audit log."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import Field

from serve_app.api.schemas.base import Answer, Body, NextPage, View
from serve_app.domain import AuditCheck, Deletion, ErasureReceipt

EXAMPLE_RECEIPT = {
    "statement": {"statement": "facegraph erasure 1", "persons": ["ada"], "faces": 3},
    "public_key": "MCowBQYDK2VwAyEA...",
    "signature": "kq0r...",
}


class ReceiptView(View):
    """A signed statement that persons were erased and that nothing of them was found afterwards. Nobody else has it."""

    statement: dict[str, Any] = Field(description="What is signed.", examples=[EXAMPLE_RECEIPT["statement"]])
    public_key: str = Field(description="The installation's Ed25519 key, base64.")
    signature: str = Field(
        description="Ed25519 over the statement as JSON with sorted keys, without spaces, in UTF-8; base64."
    )


class DeletionAnswer(Answer):
    """What a deletion did."""

    deleted: bool = Field(description="Always true: what was named is no longer where it was.")
    erased: bool = Field(description="Whether it exists nowhere any more; false: it is still in other collections.")
    persons: int = Field(description="Persons that exist nowhere any more.", examples=[1])
    faces: int = Field(description="Faces that exist nowhere any more.", examples=[3])
    receipt: ReceiptView | None = Field(None, description="Proof, when named persons were erased. Keep it.")

    @classmethod
    def of(cls, deletion: Deletion) -> DeletionAnswer:
        """From the domain."""
        return cls(
            deleted=True,
            erased=deletion.erased,
            persons=deletion.persons,
            faces=deletion.faces,
            receipt=ReceiptView.of(deletion.receipt) if deletion.receipt else None,
        )


class ReceiptBody(Body):
    """A receipt, as a deletion answered it."""

    statement: dict[str, Any]
    public_key: str = Field(max_length=100)
    signature: str = Field(max_length=200)

    def to_domain(self) -> ErasureReceipt:
        """As the gallery takes it."""
        return ErasureReceipt(self.statement, self.public_key, self.signature)


class ReceiptChecked(View):
    """What can be said of a receipt."""

    genuine: bool = Field(description="This installation signed exactly this statement, for this tenant.")
    recorded: bool = Field(description="The audit log has the entry of the erasure; it forgets after a time.")
    residue: int = Field(description="Records of the erased persons that are stored now.", examples=[0])


class AuditEntryView(View):
    """Something that was done."""

    chain: str = Field(description="Whose log it is.")
    sequence: int = Field(examples=[17])
    time: dt.datetime
    actor: str = Field(description="`key:` and the id of an API key, or `internal`.")
    action: str = Field(examples=["search"])
    subjects: list[str] = Field(description="Internal ids of persons; once a person is erased they mean nobody.")
    collections: list[str] = Field(description="Ids.")
    details: dict[str, Any] = Field(examples=[{"faces": 1, "matches": 1}])
    previous: str = Field(description="The hash of the entry before.")
    hash: str = Field(description="SHA-256 of the entry and the hash before it.")


class AuditPage(Answer):
    """A page of the audit log, newest first."""

    entries: list[AuditEntryView]
    cursor: NextPage


class AuditChecked(Answer):
    """Whether the audit log is whole."""

    whole: bool
    entries: int = Field(description="How many were checked.", examples=[1041])
    broken: int | None = Field(description="The number of the first entry that is changed or missing.")
    head: str = Field(description="The last hash: noted elsewhere, it shows later that nothing was cut off.")

    @classmethod
    def of(cls, check: AuditCheck) -> AuditChecked:
        """From the domain."""
        return cls(whole=check.broken is None, entries=check.entries, broken=check.broken, head=check.head)

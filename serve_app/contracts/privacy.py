"""Contract of the matcher: the audit log and receipts of erasures."""

from __future__ import annotations

from typing import Protocol

from serve_app.contracts.marks import on_handle, read
from serve_app.domain import AuditCheck, AuditEntry, ErasureReceipt, Page, ReceiptCheck


class Privacy(Protocol):
    """Reading and checking the audit log; checking receipts."""

    @on_handle
    @read
    async def audit(
        self, tenant: str, person_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """Entries of the audit log, newest first; ``person_id`` keeps those about this person.

        Pages of 1 to 1,000. Raises PersonNotFound, also for an erased person; InvalidRequest (cursor, limit).
        """

    @on_handle
    @read
    async def check_audit(self, tenant: str, head: str = "") -> AuditCheck:
        """Whether the hash chain of the whole log is intact.

        ``head`` is one that was noted earlier and is looked for; empty for none.
        """

    @on_handle
    @read
    async def check_receipt(self, tenant: str, receipt: ErasureReceipt) -> ReceiptCheck:
        """Whether this installation signed the receipt, and what is stored of its subjects now."""

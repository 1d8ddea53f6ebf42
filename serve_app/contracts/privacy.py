"""What the matcher promises about the audit log and about receipts of erasures."""

from __future__ import annotations

from typing import Protocol

from serve_app.domain import AuditCheck, AuditEntry, ErasureReceipt, Page, ReceiptCheck


class Privacy(Protocol):
    """Who did what, and proof of what was erased."""

    async def audit(
        self, tenant: str, person_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """The log, newest first; ``person_id`` keeps what concerns this person.

        Raises PersonNotFound, also for someone erased; InvalidRequest (cursor).
        """
        ...

    async def check_audit(self, tenant: str) -> AuditCheck:
        """Whether the log is whole."""
        ...

    async def check_receipt(self, tenant: str, receipt: ErasureReceipt) -> ReceiptCheck:
        """What can be said of a receipt."""
        ...

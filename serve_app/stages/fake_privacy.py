"""The part of the fake gallery about privacy: it keeps no log and signs nothing."""

from __future__ import annotations

from serve_app.domain import AuditCheck, AuditEntry, ErasureReceipt, Page, ReceiptCheck


class FakePrivacy:
    """Implements :class:`~serve_app.contracts.privacy.Privacy` for a service that records nothing."""

    async def audit(
        self, tenant: str, person_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """Empty."""
        return Page((), None)

    async def check_audit(self, tenant: str) -> AuditCheck:
        """An empty log is whole."""
        return AuditCheck(0, None, "")

    async def check_receipt(self, tenant: str, receipt: ErasureReceipt) -> ReceiptCheck:
        """Not from here."""
        return ReceiptCheck(False, False, 0)

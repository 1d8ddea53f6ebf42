"""Audit log, erasure with receipts, retention periods, signatures and re-encryption."""

"""Audit log, erasure with receipts, retention periods, signatures, re-encryption."""

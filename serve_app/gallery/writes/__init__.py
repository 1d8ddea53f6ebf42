"""Writes: the transaction over records, index and images (``writer``), and a plan for each operation."""

"""Parameters of the vector index: the HNSW graph, the candidates of a search, and the size limit of milvus-lite.

They stand apart from the index, since the capacity model needs them without pymilvus.
"""

from __future__ import annotations

HNSW = {"M": 16, "efConstruction": 200}
"""Parameters with which a server builds the HNSW graph of a segment: links of a row, candidates while building."""

MIN_CANDIDATES, MAX_CANDIDATES = 128, 1024
ROWS_PER_CANDIDATE = 1000
"""Bounds and slope of :func:`candidates`. The more rows are in a graph, the more candidates are needed to find the
nearest one: 128 find 99.9 % in a graph of 100,000 rows, 256 in one of 300,000 (docs/performance.md)."""

EMBEDDED_ROWS = 200_000
"""Number of rows up to which milvus-lite should be used. A start then takes about 12 s to read them, and a search 3 ms;
both times grow in proportion to the rows."""


def candidates(rows: int) -> int:
    """Number of candidates (HNSW's ``ef``) that a search must examine in the graph of a segment of this many rows."""
    return min(max(MIN_CANDIDATES, rows // ROWS_PER_CANDIDATE), MAX_CANDIDATES)

"""Removal of deleted rows from the files of milvus-lite.

milvus-lite marks a row as deleted and drops it only when it merges small files with others; its API has no call for
that. So this module has the files with deleted rows written again, with milvus-lite's own code. Its private names that
this takes stand here only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def remove_deleted_rows(database: Any, name: str) -> None:
    """Write each file of a Milvus collection that has deleted rows again without them; flush the collection before.

    ``database`` is the ``MilvusLite`` that has the folder open. Waits for milvus-lite's own merging of files. Reads and
    writes of the collection wait for one file at a time; for 100,000 rows in one file about a second.
    """
    if database.has_collection(name):
        collection = database.get_collection(name)
        collection._bg_executor.submit(_rewrite, collection).result()  # milvus-lite rewrites files on this thread too


def _rewrite(collection: Any) -> None:
    files = collection._compaction_mgr
    for partition, file in list(_with_deleted_rows(collection)):
        with collection._maintenance_lock:
            if (partition, file) in collection._segment_cache:
                folder = str(Path(collection.data_dir) / "partitions" / partition)
                files._compact_files(partition, folder, [file], collection._manifest, collection._delta_index)
                files._gc_tombstones(collection._manifest, collection._delta_index)
                collection._refresh_segment_cache()
                collection._cleanup_orphan_index_files()
    collection._ensure_loaded_segments_indexed()


def _with_deleted_rows(collection: Any) -> Iterator[tuple[str, str]]:
    """Partition and name of each file that has rows which were deleted after they had been written."""
    with collection._maintenance_lock:
        segments = dict(collection._segment_cache)
        deleted: dict[str, int] = collection._delta_index.snapshot
    for (partition, file), segment in segments.items():
        rows: dict[str, int] = segment.pk_to_row
        if any(segment.seqs[rows[pk]] < sequence for pk, sequence in deleted.items() if pk in rows):
            yield partition, file

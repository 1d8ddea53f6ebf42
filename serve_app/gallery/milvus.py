"""The vector index on Milvus: the embedded milvus-lite or a server (2.3 or newer), through ``MilvusClient`` alone.

One Milvus collection for each model, one row for each face in each collection. Only ``upsert`` is used, since a server
keeps both rows of an inserted duplicate. Ids consist of hex digits, which is checked before they reach an expression:
the client quotes them without escaping.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pymilvus import DataType
from pymilvus.exceptions import MilvusException

from serve_app.domain import Vectors
from serve_app.errors import InvalidRequest, StoreUnavailable
from serve_app.gallery.checks import check_model, is_id
from serve_app.gallery.index import Hit, IndexRow, RowKey
from serve_app.gallery.milvus_connection import connect, disconnect, is_embedded, outages

log = logging.getLogger(__name__)

T = TypeVar("T")

HNSW = {"M": 16, "efConstruction": 200}
MIN_EF = 64
BATCH = 1000  # rows of one call; 512 float32 are 2 MB, a server takes 64 MB
MAX_LIMIT = 16_384  # of one search on a server

FLUSH_ROWS = 100  # milvus-lite: a row not yet flushed costs every search some 10 to 60 microseconds
FLUSH_IDLE_S = 1.0


class MilvusIndex:
    """See :class:`~serve_app.gallery.index.VectorIndex`.

    Args:
        uri: a path ending in ``.db`` for milvus-lite, or a server's URL.
        token: of that server; may be empty.
        namespace: tells apart the installations that share a server: hex digits.
        timeout_s: after which a call counts as failed.

    Raises:
        ConfigurationError: another process has the file open, or the path is no place for it.
        StoreUnavailable: the server does not answer.
    """

    def __init__(self, uri: str, token: str, namespace: str, timeout_s: float) -> None:
        self._embedded = is_embedded(uri)
        self._uri = str(Path(uri).resolve()) if self._embedded else uri
        self._prefix = f"facegraph_{namespace[:8]}_"
        self._timeout_s = timeout_s
        self._parts: dict[str, tuple[str, int]] = {}  # model -> Milvus collection, dimension
        self._lock = threading.RLock()  # milvus-lite corrupts its log when two threads write
        self._unflushed: dict[str, int] = {}
        self._last_write = 0.0
        self._client = connect(self._uri, token, timeout_s)
        try:
            with outages():
                self._version = str(self._client.get_server_version(timeout=timeout_s))
            self.models()
        except BaseException:
            self.close()
            raise

    # -- rows

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """See :class:`VectorIndex`."""
        if not rows:
            return
        name, expected = self._part(model) or self._create(model, len(rows[0].vector))
        for row in rows:
            if len(row.vector) != expected:
                raise InvalidRequest(f"Templates of {model} have {expected} dimensions, got {len(row.vector)}.")
        data = [
            {
                "pk": _pk(row.key),
                "collection_id": row.key.collection_id,
                "face_id": row.key.face_id,
                "vector": row.vector,
            }
            for row in rows
        ]
        for batch in _batches(data):
            with self._writing(name, len(batch)):
                self._client.upsert(name, batch, timeout=self._timeout_s)

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """See :class:`VectorIndex`."""
        part = self._part(model)
        if part is None:
            return
        for batch in _batches([_pk(key) for key in keys]):
            with self._writing(part[0], len(batch)):
                self._client.delete(part[0], ids=batch, timeout=self._timeout_s)

    def settle(self, model: str, key: RowKey) -> None:
        """See :class:`VectorIndex`."""
        part = self._part(model)
        if self._embedded or part is None:
            return
        with outages():
            # Strong waits until the query nodes have consumed every write made before: from then on all searches see
            # it.
            self._client.query(
                part[0], ids=[_pk(key)], output_fields=["pk"], consistency_level="Strong", timeout=self._timeout_s
            )

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """See :class:`VectorIndex`."""
        part = self._part(model)
        if part is None or not len(probes) or not collections:
            return [[] for _ in probes]
        name, dimension = part
        if probes.shape[1] != dimension:
            raise InvalidRequest(f"Templates of {model} have {dimension} dimensions, got {probes.shape[1]}.")
        with outages():
            answers = self._client.search(
                name,
                data=list(probes),
                filter=f"collection_id in [{_quoted(collections)}]",
                limit=min(limit, MAX_LIMIT),
                output_fields=["pk"],  # without it milvus-lite sends the vectors too
                search_params={"metric_type": "COSINE", "params": {"ef": max(MIN_EF, limit)}},
                anns_field="vector",
                consistency_level="Bounded",  # 2 ms on a server, where Strong waits 200 ms; writers wait instead
                timeout=self._timeout_s,
            )
        return [[Hit(_key(hit["pk"]), float(hit["distance"])) for hit in hits] for hits in answers]

    def keys(self, model: str) -> Iterator[RowKey]:
        """See :class:`VectorIndex`."""
        part = self._part(model)
        if part is None:
            return
        with outages():
            iterator = self._client.query_iterator(
                part[0], batch_size=5000, output_fields=["pk"], timeout=self._timeout_s, **self._strong
            )
        try:
            while True:
                with outages():
                    rows = iterator.next()
                if not rows:
                    return
                yield from (_key(row["pk"]) for row in rows)
        finally:
            iterator.close()

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """See :class:`VectorIndex`."""
        part = self._part(model)
        found: set[RowKey] = set()
        if part is None:
            return found
        for batch in _batches(list(face_ids), 100):
            with outages():
                rows = self._client.query(
                    part[0],
                    filter=f"face_id in [{_quoted(batch)}]",
                    output_fields=["pk"],
                    limit=MAX_LIMIT,
                    timeout=self._timeout_s,
                    **self._strong,
                )
            found.update(_key(row["pk"]) for row in rows)
        return found

    def count(self, model: str) -> int:
        """See :class:`VectorIndex`."""
        part = self._part(model)
        if part is None:
            return 0
        with outages():
            rows = self._client.query(
                part[0], filter="", output_fields=["count(*)"], timeout=self._timeout_s, **self._strong
            )
        return int(rows[0]["count(*)"])

    # -- parts

    def models(self) -> list[str]:
        """See :class:`VectorIndex`."""
        with self._lock, outages():
            for name in self._client.list_collections(timeout=self._timeout_s):
                if name.startswith(self._prefix) and name not in {part for part, _ in self._parts.values()}:
                    self._open(name)
            return sorted(self._parts)

    def drop(self, model: str) -> None:
        """See :class:`VectorIndex`."""
        with self._lock, outages():
            part = self._part(model)
            if part is not None:
                self._client.drop_collection(part[0], timeout=self._timeout_s)
                del self._parts[model]
                self._unflushed.pop(part[0], None)

    def _part(self, model: str) -> tuple[str, int] | None:
        part = self._parts.get(model)
        if part is None:
            name = self._name(model)
            with self._lock, outages():
                if self._client.has_collection(name, timeout=self._timeout_s):  # another process may have created it
                    self._open(name)
            part = self._parts.get(model)
        return part

    def _open(self, name: str) -> None:
        described = self._client.describe_collection(name, timeout=self._timeout_s)
        vector = next(field for field in described["fields"] if field["name"] == "vector")
        self._client.load_collection(name, timeout=self._timeout_s)
        self._parts[self._model(name)] = name, int(vector["params"]["dim"])

    def _create(self, model: str, dimension: int) -> tuple[str, int]:
        name = self._name(model)
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=65)
        # Not a partition key: Milvus 2.3 puts single upserted rows into partitions where no search looks for them, and
        # milvus-lite searches all partitions anyway.
        schema.add_field("collection_id", DataType.VARCHAR, max_length=32)
        schema.add_field("face_id", DataType.VARCHAR, max_length=32)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="HNSW", metric_type="COSINE", params=HNSW)
        if not self._embedded:
            index.add_index("collection_id", index_type="Trie")
        with self._lock, outages():
            if not self._client.has_collection(name, timeout=self._timeout_s):
                try:
                    self._client.create_collection(
                        name,
                        schema=schema,
                        index_params=index,
                        consistency_level="Bounded",
                        timeout=self._timeout_s,
                    )
                except MilvusException:
                    if not self._client.has_collection(name, timeout=self._timeout_s):
                        raise  # else another process created it at the same moment
            self._open(name)
            return self._parts[model]

    def _name(self, model: str) -> str:
        # A name consists of letters, digits and underscores; the id can be read from it again.
        return self._prefix + re.sub("[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", check_model(model))

    def _model(self, name: str) -> str:
        return re.sub("_([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), name.removeprefix(self._prefix))

    # -- life

    def maintain(self) -> None:
        """See :class:`VectorIndex`."""
        if not self._embedded or not self._unflushed or time.monotonic() - self._last_write < FLUSH_IDLE_S:
            return
        with self._lock:
            for name in list(self._unflushed):
                self._flush(name)

    def facts(self) -> Mapping[str, Any]:
        """See :class:`VectorIndex`."""
        with outages():
            self._version = str(self._client.get_server_version(timeout=min(5.0, self._timeout_s)))
        version = self._version.removeprefix("milvus_lite-").removeprefix("v")
        return {"kind": "milvus-lite" if self._embedded else "milvus", "version": version}

    def close(self) -> None:
        """See :class:`VectorIndex`."""
        with self._lock:
            for name in list(self._unflushed):
                try:
                    self._flush(name)
                except StoreUnavailable as error:
                    log.warning("%s", error)  # nothing is lost: the next start repairs the index from the records
            disconnect(self._client, self._uri)

    def _flush(self, name: str) -> None:
        with outages():
            self._client.flush(name, timeout=max(60.0, self._timeout_s))
        self._unflushed.pop(name, None)

    @property
    def _strong(self) -> dict[str, str]:
        return {} if self._embedded else {"consistency_level": "Strong"}

    @contextmanager
    def _writing(self, name: str, rows: int) -> Iterator[None]:
        if not self._embedded:
            with outages():
                yield
            return
        with self._lock:
            with outages():
                yield
            self._last_write = time.monotonic()
            self._unflushed[name] = self._unflushed.get(name, 0) + rows
            if self._unflushed[name] >= FLUSH_ROWS:
                self._flush(name)


def _checked(value: str) -> str:
    if not is_id(value):
        raise ValueError(f"an id of 32 hex digits was expected, got {value!r}")
    return value


def _quoted(ids: Iterable[str]) -> str:
    return ", ".join(f'"{_checked(value)}"' for value in ids)


def _pk(key: RowKey) -> str:
    return f"{_checked(key.collection_id)}_{_checked(key.face_id)}"


def _key(pk: str) -> RowKey:
    return RowKey(pk[:32], pk[33:])


def _batches(items: list[T], size: int = BATCH) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))

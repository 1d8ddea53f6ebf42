"""The Milvus collections of an index, one for each model: names, schema, keys of rows, creation and loading.

Ids are checked before they are put into a filter expression, because expressions take no parameters.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from pymilvus import DataType
from pymilvus.client.types import LoadState
from pymilvus.exceptions import MilvusException

from serve_app.gallery.checks import check_model, is_id
from serve_app.gallery.index.base import RowKey
from serve_app.gallery.index.circuit_breaker import CircuitBreaker
from serve_app.index_parameters import HNSW

CREATION_S = 15.0
"""After this long, another process that creates and loads a collection is considered dead."""


class MilvusCollection(NamedTuple):
    """The Milvus collection of a model."""

    name: str
    dimension: int


class MilvusCollections:
    """Finds, creates and drops Milvus collections; remembers those that it has opened. Thread-safe.

    Args:
        client: a ``MilvusClient``.
        embedded: whether the client is connected to milvus-lite.
        namespace, timeout_s: as for ``MilvusIndex``.
        breaker: guards the calls.
    """

    def __init__(self, client: Any, embedded: bool, namespace: str, timeout_s: float, breaker: CircuitBreaker) -> None:
        self._client = client
        self._embedded = embedded
        self._prefix = f"facegraph_{namespace[:8]}_"
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._known: dict[str, MilvusCollection] = {}
        self._lock = threading.RLock()

    def models(self) -> list[str]:
        """Ids of the models that have a collection, sorted."""
        with self._lock, self._breaker.guard():
            for name in self._client.list_collections(timeout=self._timeout_s):
                if name.startswith(self._prefix) and self._model(name) not in self._known:
                    self._open(name)
            return sorted(self._known)

    def find(self, model: str) -> MilvusCollection | None:
        """The model's collection, None if there is none."""
        collection = self._known.get(model)
        if collection is None:
            name = self._name(model)
            with self._lock, self._breaker.guard():
                if self._client.has_collection(name, timeout=self._timeout_s):  # another process may have created it
                    self._open(name)
            collection = self._known.get(model)
        return collection

    def opened(self) -> list[MilvusCollection]:
        """The collections that were opened so far."""
        with self._lock:
            return list(self._known.values())

    def forget(self) -> None:
        """Forget the opened collections, to look them up again: the server may have lost or unloaded them."""
        with self._lock:
            self._known.clear()

    def create(self, model: str, dimension: int) -> MilvusCollection:
        """Create the model's collection, unless another process creates it at the same time."""
        name = self._name(model)
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=65)
        # Not a partition key: Milvus 2.3 puts single upserted rows into partitions in which no search looks for them,
        # and milvus-lite searches all partitions in any case.
        schema.add_field("collection_id", DataType.VARCHAR, max_length=32)
        schema.add_field("face_id", DataType.VARCHAR, max_length=32)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        with self._lock, self._breaker.guard():
            try:
                self._client.create_collection(
                    name,
                    schema=schema,
                    index_params=self._indexes(),
                    consistency_level="Bounded",
                    timeout=self._timeout_s,
                )
            except MilvusException:
                if not self._client.has_collection(name, timeout=self._timeout_s):
                    raise  # otherwise another process created it at the same moment
            self._open(name)
            return self._known[model]

    def drop(self, model: str) -> str | None:
        """Drop the model's collection; its name, None if there was none."""
        with self._lock, self._breaker.guard():
            collection = self.find(model)
            if collection is None:
                return None
            self._client.drop_collection(collection.name, timeout=self._timeout_s)
            del self._known[model]
            return collection.name

    def _open(self, name: str) -> None:
        described = self._client.describe_collection(name, timeout=self._timeout_s)
        vector = next(field for field in described["fields"] if field["name"] == "vector")
        if self._embedded:
            self._client.load_collection(name, timeout=self._timeout_s)
        else:
            self._await_loading(name)
        self._known[self._model(name)] = MilvusCollection(name, int(vector["params"]["dim"]))

    def _await_loading(self, name: str) -> None:
        # The process that creates a collection also indexes and loads it; loading it before would make that one fail.
        deadline = time.monotonic() + min(CREATION_S, self._timeout_s)
        while self._client.get_load_state(name, timeout=self._timeout_s)["state"] != LoadState.Loaded:
            if time.monotonic() > deadline:
                self._client.create_index(name, self._indexes(), timeout=self._timeout_s)
                self._client.load_collection(name, timeout=self._timeout_s)
                return
            time.sleep(0.05)

    def _indexes(self) -> Any:
        indexes = self._client.prepare_index_params()
        if self._embedded:  # FLAT, not HNSW: no search would use the graph, since rows are searched in memory
            indexes.add_index("vector", index_type="FLAT", metric_type="COSINE", params={})
            return indexes
        indexes.add_index("vector", index_type="HNSW", metric_type="COSINE", params=HNSW)
        indexes.add_index("collection_id", index_type="Trie")
        return indexes

    def _name(self, model: str) -> str:
        # Milvus allows letters, digits and underscores. Other characters are escaped, so that the id can be read back.
        return self._prefix + re.sub("[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", check_model(model))

    def _model(self, name: str) -> str:
        return re.sub("_([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), name.removeprefix(self._prefix))


def checked_id(value: str) -> str:
    """The id itself. Raises ValueError if it is not 32 hex digits."""
    if not is_id(value):
        raise ValueError(f"an id of 32 hex digits was expected, got {value!r}")
    return value


def id_list(ids: Iterable[str]) -> str:
    """Ids as the elements of a list in a filter expression. Raises ValueError."""
    return ", ".join(f'"{checked_id(value)}"' for value in ids)


def to_pk(key: RowKey) -> str:
    """The primary key of a row: both ids, joined by an underscore."""
    return f"{checked_id(key.collection_id)}_{checked_id(key.face_id)}"


def to_key(pk: str) -> RowKey:
    """The inverse of :func:`to_pk`."""
    return RowKey(pk[:32], pk[33:])

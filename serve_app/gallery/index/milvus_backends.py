"""Opens and removes indexes on milvus-lite and on Milvus servers."""

from __future__ import annotations

import shutil

from serve_app.gallery.index.circuit_breaker import IndexUnavailable as IndexUnavailable
from serve_app.gallery.index.locations import IndexLocation, is_embedded
from serve_app.gallery.index.milvus_lite import LiteIndex
from serve_app.gallery.index.milvus_server import MilvusIndex


class MilvusBackends:
    """Implements :class:`~serve_app.gallery.index.locations.IndexBackends`; arguments as for ``MilvusIndex``."""

    def __init__(self, namespace: str, timeout_s: float) -> None:
        self._namespace = namespace
        self._timeout_s = timeout_s

    def open(self, location: IndexLocation) -> MilvusIndex:
        if is_embedded(location.uri):
            return LiteIndex(location.uri, self._namespace, self._timeout_s)
        token = "" if location.token is None else location.token.get_secret_value()
        return MilvusIndex(location.uri, token, self._namespace, self._timeout_s)

    def discard(self, location: IndexLocation) -> None:
        if is_embedded(location.uri):
            shutil.rmtree(location.uri, ignore_errors=True)
            return
        index = self.open(location)
        try:
            for model in index.models():
                index.drop(model)
        finally:
            index.close()

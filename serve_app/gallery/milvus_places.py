"""The places of an index on Milvus: embedded ones and servers."""

from __future__ import annotations

import shutil

from serve_app.gallery.milvus import MilvusIndex
from serve_app.gallery.milvus_calls import IndexUnavailable as IndexUnavailable
from serve_app.gallery.milvus_lite import LiteIndex
from serve_app.gallery.places import Place, is_embedded


class MilvusPlaces:
    """See :class:`~serve_app.gallery.places.Places`.

    Args:
        namespace: tells apart the installations that share a server: hex digits.
        timeout_s: after which a call counts as failed.
    """

    def __init__(self, namespace: str, timeout_s: float) -> None:
        self._namespace = namespace
        self._timeout_s = timeout_s

    def open(self, place: Place) -> MilvusIndex:
        """See :class:`~serve_app.gallery.places.Places`."""
        if is_embedded(place.uri):
            return LiteIndex(place.uri, self._namespace, self._timeout_s)
        token = "" if place.token is None else place.token.get_secret_value()
        return MilvusIndex(place.uri, token, self._namespace, self._timeout_s)

    def discard(self, place: Place) -> None:
        """See :class:`~serve_app.gallery.places.Places`."""
        if is_embedded(place.uri):
            shutil.rmtree(place.uri, ignore_errors=True)
            return
        index = self.open(place)
        try:
            for model in index.models():
                index.drop(model)
        finally:
            index.close()

"""Locations of a vector index: milvus-lite on a local path, or a Milvus server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from serve_app.errors import ConfigurationError, InvalidRequest
from serve_app.gallery.index.base import VectorIndex


class IndexLocation(NamedTuple):
    """A location: a path ending in ``.db`` or the URL of a server, and the token of that server.

    A token of None stands for the configured one.
    """

    uri: str
    token: SecretStr | None = None


class IndexBackends(Protocol):
    """Opens and removes indexes at any location."""

    def open(self, location: IndexLocation) -> VectorIndex:
        """The index at a location. Raises ConfigurationError or StoreUnavailable."""

    def discard(self, location: IndexLocation) -> None:
        """Remove the index with all its rows. No process may have it open. Raises StoreUnavailable."""


def is_embedded(uri: str) -> bool:
    """Whether this is the path of an index on milvus-lite, which is embedded in this process."""
    return "://" not in uri


def check_embedded(path: str) -> None:
    """Raise ConfigurationError unless an embedded index can have this path."""
    if Path(path).suffix != ".db":
        raise ConfigurationError(f"storage.milvus_uri: a URL or a path ending in .db was expected, got {path!r}.")


def without_credentials(uri: str) -> str:
    """The URL without user name and password, for messages."""
    return re.sub(r"//[^/@]*@", "//", uri)


def parse(text: str, token: str = "") -> IndexLocation:
    """Parse the location that an operator named as the target of a move.

    Raises InvalidRequest: it is neither the URL of a server nor a path ending in ``.db`` that is unused.
    """
    if not is_embedded(text):
        if not re.fullmatch(r"(https?|tcp|grpc)://[^/@\s]+/?", text):
            raise InvalidRequest(
                f"A URL like http://host:19530 was expected, without credentials, got {without_credentials(text)!r}."
            )
        return IndexLocation(text.rstrip("/"), SecretStr(token) if token else None)
    path = Path(text).expanduser().resolve()
    if path.suffix != ".db":
        raise InvalidRequest(f"The URL of a Milvus server or a path ending in .db was expected, got {text!r}.")
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise InvalidRequest(f"{path} exists and is not empty: choose another path, or move its content away.")
    return IndexLocation(str(path))

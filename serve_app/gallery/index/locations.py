"""Where a vector index can be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from serve_app.errors import InvalidRequest
from serve_app.gallery.index.base import VectorIndex


class IndexLocation(NamedTuple):
    """A path ending in ``.db`` or a server's URL, and the token of that server; None: the configured one."""

    uri: str
    token: SecretStr | None = None


class IndexBackends(Protocol):
    """The kinds of index that there are."""

    def open(self, location: IndexLocation) -> VectorIndex:
        """The index there. Raises ConfigurationError or StoreUnavailable."""
        ...

    def discard(self, location: IndexLocation) -> None:
        """Remove the index there with all its rows; no process has it open. Raises StoreUnavailable."""
        ...


def is_embedded(uri: str) -> bool:
    """Whether this is a path of milvus-lite."""
    return "://" not in uri


def without_credentials(uri: str) -> str:
    """Without credentials."""
    return re.sub(r"//[^/@]*@", "//", uri)


def parse(text: str, token: str = "") -> IndexLocation:
    """A place that somebody typed.

    Raises:
        InvalidRequest: it is no URL of a server, and no path ending in ``.db`` that is free.
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
        raise InvalidRequest(f"{path} exists and is not empty: choose another path, or move that away.")
    return IndexLocation(str(path))

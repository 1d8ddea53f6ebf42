"""Connections to Milvus: to milvus-lite in this process, or to a server."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pymilvus import MilvusClient

from serve_app.errors import ConfigurationError, StoreUnavailable
from serve_app.folders import private_folder
from serve_app.gallery.index.circuit_breaker import FAILURES
from serve_app.gallery.index.locations import check_embedded, is_embedded, without_credentials

# The client installs its own handlers and logs a traceback for every failed call; here, callers get the error instead.
for _name in ("pymilvus", "pymilvus.milvus_client", "pymilvus.bulk_writer"):
    _logger = logging.getLogger(_name)
    _logger.handlers.clear()
    _logger.propagate = True
    _logger.setLevel(logging.CRITICAL)


def connect(uri: str, token: str, timeout_s: float) -> Any:
    """A connected ``MilvusClient``; its ``close`` also ends milvus-lite, if that is embedded.

    Raises ConfigurationError: another process has the embedded index open, or the path cannot be used;
    StoreUnavailable: the server does not answer.
    """
    if is_embedded(uri):
        return _embedded(Path(uri), timeout_s)
    try:
        return MilvusClient(uri, token=token, timeout=timeout_s)
    except FAILURES as error:
        raise StoreUnavailable(f"The vector index does not answer at {without_credentials(uri)}; try again.") from error


def _embedded(path: Path, timeout_s: float) -> MilvusClient:
    from milvus_lite.exceptions import DataDirLockedError, MilvusLiteError

    from serve_app.gallery.index.milvus_lite_client import EmbeddedClient

    _prepare_folder(path)
    try:
        return EmbeddedClient(path, timeout_s)
    except DataDirLockedError as error:
        raise ConfigurationError(
            f"The vector index {path} cannot be opened: another process has it open, and milvus-lite allows one. Stop "
            "the other one, or set storage.milvus_uri to a Milvus server."
        ) from error
    except (MilvusLiteError, RuntimeError, *FAILURES) as error:
        raise ConfigurationError(f"The vector index {path} cannot be opened: {error}") from error


def _prepare_folder(path: Path) -> None:
    check_embedded(str(path))
    if path.is_file():
        raise ConfigurationError(f"{path} is a file, but milvus-lite keeps an index in a folder of that name; move it.")
    private_folder(path)

"""Opens the stores that the settings name."""

from __future__ import annotations

import datetime as dt
import logging.handlers
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from serve_app.folders import private_folder
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.gallery import Gallery
from serve_app.gallery.index.locations import IndexBackends, IndexLocation, check_embedded, is_embedded
from serve_app.gallery.index_move.dual_write_index import DualWriteIndex
from serve_app.gallery.index_move.migration import IndexMigrator
from serve_app.gallery.keys import KeyStore
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.encryption import cipher_from_settings
from serve_app.gallery.sql.migrations import upgrade_database
from serve_app.gallery.sql.records import index_location
from serve_app.gallery.tenants import installation_id
from serve_app.score import Calibration
from serve_app.settings import Settings

log = logging.getLogger(__name__)


def open_gallery(settings: Settings, calibrations: Mapping[str, Calibration], *, recover: bool = True) -> Gallery:
    """The opened gallery, with its schema up to date and its index in line with the records.

    A damaged embedded index is removed and rebuilt from the records.

    Args:
        calibrations: model id -> calibration, for all models that searches use.
        recover: False leaves the index as it is, for a caller that rebuilds it.

    Raises ConfigurationError: a store cannot be opened as configured, or another process has the embedded index open;
    StoreUnavailable: a server does not answer.
    """
    # Imported here because it imports grpc and pandas, which takes seconds: only a process that opens a gallery waits.
    with _log_handlers_kept():
        from serve_app.gallery.index.milvus_backends import IndexUnavailable, MilvusBackends

    database = open_database(settings)
    try:
        with database.read() as connection:
            backends = MilvusBackends(installation_id(connection), settings.storage.timeout_s)
        try:
            return _open(settings, calibrations, recover, database, backends)
        except IndexUnavailable:
            location = database.transact(lambda c: index_location.settled(c, settings.milvus_uri)).location
            uri = settings.milvus_uri if location is None else location.uri
            if not is_embedded(uri):
                raise
        log.warning("the vector index %s is damaged and will be rebuilt from the records", uri)
        backends.discard(IndexLocation(uri))
        return _open(settings, calibrations, recover, database, backends)
    except BaseException:
        database.close()
        raise


def _open(
    settings: Settings,
    calibrations: Mapping[str, Calibration],
    recover: bool,
    database: Database,
    backends: IndexBackends,
) -> Gallery:
    index = DualWriteIndex(database, backends, IndexLocation(settings.milvus_uri, settings.storage.milvus_token))
    try:
        blobs = open_blobs(settings)
        gallery = Gallery(
            database,
            index,
            blobs,
            calibrations,
            is_embedded(index.layout.location.uri),
            dt.timedelta(hours=settings.matcher.unattached_face_ttl_h),
            dt.timedelta(days=settings.audit.keep_days),
            settings.audit.allow_untraced,
            IndexMigrator(database, index, blobs),
        )
        if recover:
            gallery.recover()
            index.warm_up()
    except BaseException:
        index.close()
        raise
    return gallery


def open_keys(settings: Settings) -> KeyStore:
    """The API keys. Any number of processes can open them. Raises as :func:`open_gallery`."""
    return KeyStore(open_database(settings))


def open_database(settings: Settings) -> Database:
    """The records, with their schema up to date. Any number of processes can open them. Raises as ``open_gallery``."""
    if not settings.storage.database_url:
        private_folder(settings.data_dir)
    database = Database(settings.database_url, cipher_from_settings(settings))
    try:
        upgrade_database(database)
    except BaseException:
        database.close()
        raise
    return database


def open_blobs(settings: Settings) -> BlobStore:
    """The images store. Raises ConfigurationError."""
    return BlobStore(settings.blobs_url, cipher_from_settings(settings))


def check_locations(settings: Settings) -> None:
    """Raise ConfigurationError if the index or the images cannot be where the settings say, without a connection.

    A stage would find it out, too, but only when Ray has started it.
    """
    if is_embedded(settings.milvus_uri):
        check_embedded(settings.milvus_uri)
    open_blobs(settings)


@contextmanager
def _log_handlers_kept() -> Iterator[None]:
    """Restore, at the end of the block, the targets of handlers that buffer log records.

    Importing pymilvus calls :func:`logging.config.dictConfig`, which closes all handlers of the process. Handlers that
    write files open them again. A :class:`logging.handlers.MemoryHandler` loses its target and then discards every
    record. Ray Serve's log of a replica goes through such a handler.
    """
    loggers = [logging.root, *(each for each in logging.root.manager.loggerDict.values() if hasattr(each, "handlers"))]
    buffering = {
        handler: handler.target
        for logger in loggers
        for handler in logger.handlers
        if isinstance(handler, logging.handlers.MemoryHandler)
    }
    try:
        yield
    finally:
        for handler, target in buffering.items():
            handler.setTarget(target)

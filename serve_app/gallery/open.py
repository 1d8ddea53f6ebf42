"""Opening the stores that the settings name."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
from collections.abc import Mapping

from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.database import Database
from serve_app.gallery.gallery import Gallery
from serve_app.gallery.keys import KeyStore
from serve_app.gallery.migrations import upgrade_database
from serve_app.gallery.sealing import cipher_of
from serve_app.gallery.tenants import installation_id
from serve_app.score import Calibration
from serve_app.settings import Settings

log = logging.getLogger(__name__)


def open_gallery(settings: Settings, calibrations: Mapping[str, Calibration], *, recover: bool = True) -> Gallery:
    """The gallery, its schema up to date and its index in line with the records; a damaged embedded index is made anew.

    Args:
        settings: ``storage`` and ``data_dir`` say where everything is.
        calibrations: model id -> calibration, for the models that are searched with.
        recover: False leaves the index as it is, for a caller who rebuilds it anyway.

    Raises:
        ConfigurationError: a store cannot be opened as configured, or another process holds the embedded index.
        StoreUnavailable: a server does not answer.
    """
    # These import grpc and pandas: only whoever opens a gallery waits for it.
    from serve_app.gallery.milvus_connection import IndexUnavailable

    try:
        return _open(settings, calibrations, recover)
    except IndexUnavailable:
        if not settings.embedded_index:
            raise
    log.warning("the vector index %s is damaged and is built again from the records", settings.milvus_uri)
    shutil.rmtree(settings.milvus_uri, ignore_errors=True)
    return _open(settings, calibrations, recover)


def _open(settings: Settings, calibrations: Mapping[str, Calibration], recover: bool) -> Gallery:
    from serve_app.gallery.milvus import MilvusIndex

    database = open_database(settings)
    try:
        with database.read() as connection:
            namespace = installation_id(connection)
        index = MilvusIndex(
            settings.milvus_uri,
            settings.storage.milvus_token.get_secret_value(),
            namespace,
            settings.storage.timeout_s,
        )
    except BaseException:
        database.close()
        raise
    try:
        blobs = open_blobs(settings)
        lifetime = dt.timedelta(hours=settings.matcher.unattached_face_ttl_h)
        gallery = Gallery(
            database,
            index,
            blobs,
            calibrations,
            settings.embedded_index,
            lifetime,
            dt.timedelta(days=settings.audit.keep_days),
            settings.audit.allow_untraced,
        )
        if recover:
            gallery.recover()
            index.warm_up()
            _warn_if_outgrown(gallery.ready()["faces"], index.capacity())
    except BaseException:
        index.close()
        database.close()
        raise
    return gallery


def _warn_if_outgrown(faces: int, capacity: int | None) -> None:
    if capacity is not None and faces > capacity:
        log.warning(
            "The gallery has %d faces, more than the %d that milvus-lite searches quickly (each 10,000 faces cost "
            "every search some 7 ms): set storage.milvus_uri to a Milvus server and run 'facegraph reindex'.",
            faces,
            capacity,
        )


def open_keys(settings: Settings) -> KeyStore:
    """The API keys, in any number of processes.

    Raises:
        ConfigurationError, StoreUnavailable: as :func:`open_gallery`.
    """
    return KeyStore(open_database(settings))


def open_database(settings: Settings) -> Database:
    """The records, their schema up to date, in any number of processes.

    Raises:
        ConfigurationError, StoreUnavailable: as :func:`open_gallery`.
    """
    if not settings.storage.database_url:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.database_url, cipher_of(settings))
    try:
        upgrade_database(database)
    except BaseException:
        database.close()
        raise
    return database


def open_blobs(settings: Settings) -> BlobStore:
    """The face images. Raises ConfigurationError."""
    return BlobStore(settings.blobs_url, cipher_of(settings))

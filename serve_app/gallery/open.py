"""Opening the stores that the settings name."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping

from serve_app.folders import private_folder
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.database import Database
from serve_app.gallery.gallery import Gallery
from serve_app.gallery.keys import KeyStore
from serve_app.gallery.log_handlers import log_handlers_kept
from serve_app.gallery.migrations import upgrade_database
from serve_app.gallery.moving import Mover
from serve_app.gallery.placed_index import PlacedIndex
from serve_app.gallery.places import Place, Places, is_embedded
from serve_app.gallery.records import index_place
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
    # This imports grpc and pandas: only whoever opens a gallery waits for it.
    with log_handlers_kept():
        from serve_app.gallery.milvus_places import IndexUnavailable, MilvusPlaces

    database = open_database(settings)
    try:
        with database.read() as connection:
            places = MilvusPlaces(installation_id(connection), settings.storage.timeout_s)
        try:
            return _open(settings, calibrations, recover, database, places)
        except IndexUnavailable:
            place = database.transact(lambda connection: index_place.settled(connection, settings.milvus_uri)).place
            uri = settings.milvus_uri if place is None else place.uri
            if not is_embedded(uri):
                raise
        log.warning("the vector index %s is damaged and is built again from the records", uri)
        places.discard(Place(uri))
        return _open(settings, calibrations, recover, database, places)
    except BaseException:
        database.close()
        raise


def _open(
    settings: Settings, calibrations: Mapping[str, Calibration], recover: bool, database: Database, places: Places
) -> Gallery:
    index = PlacedIndex(database, places, Place(settings.milvus_uri, settings.storage.milvus_token))
    try:
        blobs = open_blobs(settings)
        gallery = Gallery(
            database,
            index,
            blobs,
            calibrations,
            is_embedded(index.layout.place.uri),
            dt.timedelta(hours=settings.matcher.unattached_face_ttl_h),
            dt.timedelta(days=settings.audit.keep_days),
            settings.audit.allow_untraced,
            Mover(database, index, blobs),
        )
        if recover:
            gallery.recover()
            index.warm_up()
    except BaseException:
        index.close()
        raise
    return gallery


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
        private_folder(settings.data_dir)
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

"""Galleries on real stores. Each backend has one gallery for the whole session, and each test a separate tenant."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from serve_app.gallery import Gallery, TenantStore
from serve_app.settings import Settings, StorageSettings
from tests.gallery.samples import CALIBRATIONS

BACKENDS = [
    pytest.param("embedded", id="sqlite-lite"),
    pytest.param("postgres", id="postgres-lite", marks=pytest.mark.postgres),
    pytest.param("milvus", id="sqlite-milvus", marks=pytest.mark.milvus_server),
]


@pytest.fixture(scope="session", params=BACKENDS)
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for each kind of store in turn."""
    storage = StorageSettings()
    if request.param == "postgres":
        storage = StorageSettings(database_url=request.getfixturevalue("postgres").create_database())
    elif request.param == "milvus":
        storage = StorageSettings(milvus_uri=request.getfixturevalue("milvus").uri)
    return Settings(data_dir=tmp_path_factory.mktemp(request.param), storage=storage)


@pytest.fixture(scope="session")
def gallery(settings: Settings) -> Iterator[Gallery]:
    """The gallery under test, on each kind of store in turn."""
    from serve_app.gallery import open_gallery

    opened = open_gallery(settings, CALIBRATIONS)
    yield opened
    opened.close()


@pytest.fixture
def tenant(gallery: Gallery) -> str:
    """The id of a new tenant, which has nothing."""
    return new_tenant(gallery)


def new_tenant(gallery: Gallery) -> str:
    """Create a tenant; its id."""
    return TenantStore(gallery._database).create(uuid.uuid4().hex).id

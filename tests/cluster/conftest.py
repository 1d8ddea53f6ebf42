"""One cluster for the tests of this folder, in the order of their files' names: the last one kills a node of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.servers.milvus import MilvusServer
from scripts.servers.postgres import PostgresServer
from tests import photos
from tests.cluster.nodes import Cluster, configuration


@pytest.fixture(scope="session")
def cluster(
    postgres: PostgresServer, milvus: MilvusServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """With one person enrolled."""
    folder = tmp_path_factory.mktemp("cluster")
    storage = {"database_url": postgres.create_database(), "milvus_uri": milvus.uri}
    made = Cluster(folder, **storage, blobs_url=f"file://{folder}/blobs")
    try:
        made.start()
        made.deploy(configuration(made.port))
        print(f"deployed and whole after {made.until_whole():.0f} s")
        with made.client() as api:
            api.post("/v1/collections", json={"name": "staff"}).raise_for_status()
            files = {"image": ("a.jpg", photos.astronaut())}
            api.put("/v1/collections/staff/persons/collins", files=files).raise_for_status()
        yield made
    finally:
        made.stop()

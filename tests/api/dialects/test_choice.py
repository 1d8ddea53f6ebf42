"""The setting that chooses the dialects."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from serve_app.api.app import create_app
from serve_app.api.dialects import ALL, chosen
from serve_app.errors import ConfigurationError
from serve_app.settings import Settings


def test_all_by_default() -> None:
    assert chosen(Settings().dialects) == ALL


def test_some_or_none() -> None:
    assert [dialect.name for dialect in chosen(["opencv-fr-server", "opencv-fr-server"])] == ["opencv-fr-server"]
    assert chosen([]) == ()
    for names, status in ((["opencv-fr-server"], 503), ([], 404)):
        with TestClient(create_app(lambda: None, chosen(names))) as client:
            assert client.get("/collections").status_code == status


def test_a_misspelt_one_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no 'klingon'; expected any of all, .*opencv-fr-server"):
        chosen(["opencv-fr-server", "klingon"])


@pytest.mark.slow  # imports Ray Serve
@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")
def test_a_misspelt_one_stops_the_start() -> None:
    from serve_app.app import build

    with pytest.raises(ConfigurationError, match="no 'klingon'"):
        build({"dialects": ["opencv-fr-server", "klingon"]})


def test_names_and_operations_are_told_apart() -> None:
    assert len({dialect.name for dialect in ALL}) == len(ALL)
    document = create_app(lambda: None, ALL).openapi()
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids)

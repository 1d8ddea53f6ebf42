"""The application of ``tests/api/conftest.py``, speaking every dialect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from serve_app.api.app import create_app
from serve_app.api.dialects import ALL
from tests.api.conftest import Shared


@pytest.fixture(scope="session")
def shared_client() -> Iterator[TestClient]:
    """The client of the shared application."""
    with TestClient(create_app(lambda: Shared.context, ALL)) as client:
        yield client

"""The markers of the tests on the cluster."""

from __future__ import annotations

import os

import pytest

ON_CLUSTER = [
    pytest.mark.graph,
    pytest.mark.milvus_server,
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get("FACEGRAPH_TEST_CLUSTER"), reason="takes minutes: make cluster runs it"),
]

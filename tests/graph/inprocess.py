"""The whole service in the test's process without Ray: the same stages and application, ready within a second.

``FACEGRAPH_TEST_WITHOUT_RAY=1`` runs those tests of the graph on it that only speak HTTP.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import uvicorn

from scripts.servers.ports import free_port
from serve_app.serving.ingress import Ingress
from serve_app.settings import Settings
from tests import photos
from tests.graph.service import key_of_tenant

VARIABLE = "FACEGRAPH_TEST_WITHOUT_RAY"


class InProcessService:
    """Has the ``url`` and ``key`` of a :class:`~tests.graph.service.RunningService`."""

    def __init__(self, data_dir: Path) -> None:
        settings = Settings(data_dir=data_dir, model_dir=photos.model_dir())
        self.data_dir = data_dir
        self.key: str | None = key_of_tenant(data_dir, "default")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._ingress = Ingress(settings)
        config = uvicorn.Config(self._ingress.build_http_app(), host="127.0.0.1", port=port, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="service", daemon=True)

    async def _serve(self) -> None:
        await self._server.serve()
        await self._ingress.close()

    def start(self, timeout_s: float = 240) -> InProcessService:
        """Serve, and wait until it does."""
        self._thread.start()
        deadline = time.monotonic() + timeout_s
        while not self._server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Finish what runs and close the stores."""
        self._server.should_exit = True
        self._thread.join(timeout=180)

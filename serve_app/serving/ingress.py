"""The ingress: HTTP application and Python handle over one service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp

from serve_app.api.api_context import ApiContext, ReplicaStates
from serve_app.api.app import create_app
from serve_app.api.bulk.worker import BulkWorker
from serve_app.api.dialects import chosen
from serve_app.api.service_info import static_info
from serve_app.gallery import open_keys
from serve_app.observability.metrics import Metrics
from serve_app.observability.recent_statistics import MeasuredStage
from serve_app.service.reembedding import Reembedder
from serve_app.serving.in_process import LocalStages, assemble
from serve_app.serving.python_handle import PythonHandle
from serve_app.settings import Settings


class Ingress(PythonHandle):
    """The HTTP application and the Python handle.

    Args:
        stages: name -> stage in another process; the other stages run inside this process.
        metrics: makes the metrics of a stage from its name.
        replicas: returns the number of replicas of each deployment; None outside Ray Serve.

    Raises ConfigurationError if a setting, a model file or a store cannot be used; StoreUnavailable if a store does not
    answer.
    """

    def __init__(
        self,
        settings: Settings,
        stages: Mapping[str, Any] | None = None,
        metrics: Callable[[str], Metrics] = Metrics,
        replicas: ReplicaStates | None = None,
    ) -> None:
        self._local = LocalStages.open(settings, metrics, elsewhere=stages or {})
        measured = {name: MeasuredStage(stage) for name, stage in {**self._local.stages, **(stages or {})}.items()}
        self.service = assemble(settings, measured)
        self._reembedder = Reembedder(self.service.embedder, self.service.matcher)
        self._keys = open_keys(settings)
        self.context = ApiContext(
            service=self.service,
            keys=self._keys,
            settings=settings,
            info=static_info(settings),
            statistics={name: stage.statistics for name, stage in measured.items()},
            replicas=replicas,
        )
        self._bulk = BulkWorker(self.context)

    def build_http_app(self) -> ASGIApp:
        """The HTTP application over this ingress."""
        return create_app(lambda: self.context, chosen(self.context.settings.dialects), self._background_work)

    @asynccontextmanager
    async def _background_work(self, app: Any) -> AsyncIterator[None]:
        self._reembedder.start()
        self._bulk.start()
        try:
            yield
        finally:
            await self._bulk.close()
            await self._reembedder.close()

    async def close(self) -> None:
        """Stop background work, finish running calls of local stages, close the database."""
        await self._bulk.close()
        await self._reembedder.close()
        self.context.upload_pool.shutdown(wait=False, cancel_futures=True)
        await self._local.close()
        self._keys.close()

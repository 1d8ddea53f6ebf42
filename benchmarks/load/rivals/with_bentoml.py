"""BentoML: one worker, since milvus-lite belongs to one process; a plain method, which BentoML runs in threads."""

from __future__ import annotations

from pathlib import Path

import bentoml

from benchmarks.load.rivals.pipeline import open_pipeline


@bentoml.service(workers=1, threads=16, traffic={"timeout": 60})
class Search:
    """The search of one image."""

    def __init__(self) -> None:
        self.pipeline = open_pipeline()

    @bentoml.api(route="/search")  # type: ignore[untyped-decorator]
    def search(self, image: Path, collections: str) -> dict[str, str | None]:
        """The best match's person."""
        return {"person": self.pipeline.search(image.read_bytes(), collections).person}

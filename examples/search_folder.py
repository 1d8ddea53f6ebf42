"""Search of a folder of images with Ray Data: the people on each image, as JSON lines.

    .venv/bin/python examples/search_folder.py pictures/ staff found/

beside ``make run``, or on a cluster as a job (``ray job submit ... -- python examples/search_folder.py ...``), with any
folder or URL that Ray Data reads. Ray Data lists, reads and forwards the images in blocks, no faster than the searchers
take them; each searcher keeps a few calls of the Python handle in flight, so every stage of the service has work. It
needs only facegraph's own dependencies: Ray brings Ray Data, milvus-lite pyarrow.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

from serve_app.process_environment import prepare_loopback_ray

if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # not a job of a cluster, whose environment is set
    prepare_loopback_ray()  # before Ray is imported

import ray
from ray import serve
from ray.serve.exceptions import BackPressureError

from serve_app.errors import FacegraphError, ImageError, Overloaded

SHARE = 0.1
"""Cores that Ray reserves for a process that reads, waits or writes: the cores are meant for the service."""

PICTURES = ["jpg", "jpeg", "png", "webp", "bmp"]


class Searcher:
    """Searches the images of a block, a few at the same time."""

    def __init__(self, collection: str, at_once: int) -> None:
        self._handle = serve.get_app_handle("facegraph")
        self._collection = collection
        self._at_once = at_once

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """``path`` and ``bytes`` in; ``path``, ``persons`` (best first), ``scores`` and ``error`` out."""
        found = asyncio.run(self._all([bytes(content) for content in batch["bytes"]]))
        persons, scores, errors = zip(*found, strict=True)
        return {"path": list(batch["path"]), "persons": list(persons), "scores": list(scores), "error": list(errors)}

    async def _all(self, pictures: list[bytes]) -> list[tuple[list[str], list[float], str]]:
        room = asyncio.Semaphore(self._at_once)

        async def one(picture: bytes) -> tuple[list[str], list[float], str]:
            async with room:
                while True:
                    try:
                        result = await self._handle.search_all_faces.remote(picture, self._collection)
                    except (BackPressureError, Overloaded):
                        await asyncio.sleep(0.5)
                    except (ImageError, FacegraphError) as error:
                        return [], [], str(error).splitlines()[-1]
                    else:
                        best = [face.matches[0] for face in result.faces if face.matches]
                        people = [match.person.id if match.person else match.face.id for match in best]
                        return people, [float(match.score) for match in best], ""

        return await asyncio.gather(*map(one, pictures))


def main(arguments: list[str]) -> int:
    """Run the example; the exit code."""
    parser = argparse.ArgumentParser(description="Search the people on each image of a folder.")
    parser.add_argument("pictures", help="a folder, or a URL that Ray Data reads")
    parser.add_argument("collection")
    parser.add_argument("output", help="a folder for the JSON lines")
    parser.add_argument("--searchers", type=int, default=1, help="processes that wait for answers (default: 1)")
    parser.add_argument("--at-once", type=int, default=8, help="images that each has in flight (default: 8)")
    chosen = parser.parse_args(arguments)

    ray.init(address=os.environ["RAY_ADDRESS"], logging_level="WARNING", log_to_driver=False)
    pictures = ray.data.read_binary_files(chosen.pictures, include_paths=True, file_extensions=PICTURES, num_cpus=SHARE)
    found = pictures.map_batches(
        Searcher,
        fn_constructor_args=(chosen.collection, chosen.at_once),
        batch_size=32,
        concurrency=chosen.searchers,
        num_cpus=SHARE,
    )
    found.write_json(chosen.output, ray_remote_args={"num_cpus": SHARE})
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

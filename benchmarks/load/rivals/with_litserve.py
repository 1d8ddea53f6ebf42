"""LitServe: its own worker process and its own batching; the images of a batch share one call of the embedder."""

import sys  # no deferred annotations: LitServe inspects the type of decode_request's argument
from typing import Any

import litserve
from fastapi import Request

from benchmarks.load.rivals.pipeline import open_pipeline


class Search(litserve.LitAPI):  # type: ignore[misc]  # it is in a separate environment
    """The search of a batch of images."""

    def setup(self, device: str) -> None:
        """Open models and gallery in the worker process."""
        self.pipeline = open_pipeline()

    def decode_request(self, request: Request) -> tuple[bytes, str]:
        """The form's image and collection."""
        form: Any = request  # LitServe passes the parsed form
        return form["image"].file.read(), form["collections"]

    def batch(self, inputs: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
        """Keep the list: images have different sizes."""
        return inputs

    def predict(self, inputs: list[tuple[bytes, str]]) -> list[str | None]:
        """The best match's person on each image."""
        return self.pipeline.search_many([image for image, _ in inputs], inputs[0][1])

    def unbatch(self, output: list[str | None]) -> list[str | None]:
        """Keep the list, one person for each request."""
        return output

    def encode_response(self, output: str | None) -> dict[str, str | None]:
        """The answer as JSON."""
        return {"person": output}


if __name__ == "__main__":
    api = Search(max_batch_size=8, batch_timeout=0.005, api_path="/search")
    litserve.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning", access_log=False
    )

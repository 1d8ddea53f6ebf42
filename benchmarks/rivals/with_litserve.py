"""LitServe: its own worker process and its own batching; pictures of one batch share the embedder's call."""

import sys  # no deferred annotations here: LitServe looks at the type of decode_request's argument
from typing import Any

import litserve
from fastapi import Request

from benchmarks.rivals.pipeline import open_pipeline


class Search(litserve.LitAPI):  # type: ignore[misc]  # an environment of its own has it
    """Who is on each picture."""

    def setup(self, device: str) -> None:
        """Open models and gallery in the worker."""
        self.pipeline = open_pipeline()

    def decode_request(self, request: Request) -> tuple[bytes, str]:
        """The form's picture and collection."""
        form: Any = request  # which LitServe has read
        return form["image"].file.read(), form["collections"]

    def batch(self, inputs: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
        """As they are: pictures have different sizes."""
        return inputs

    def predict(self, inputs: list[tuple[bytes, str]]) -> list[str | None]:
        """The people."""
        return self.pipeline.search_many([image for image, _ in inputs], inputs[0][1])

    def unbatch(self, output: list[str | None]) -> list[str | None]:
        """One for each."""
        return output

    def encode_response(self, output: str | None) -> dict[str, str | None]:
        """As JSON."""
        return {"person": output}


if __name__ == "__main__":
    api = Search(max_batch_size=8, batch_timeout=0.005, api_path="/search")
    litserve.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning", access_log=False
    )

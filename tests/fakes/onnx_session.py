"""An ONNX session whose model is a Python function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from serve_app.vision.onnx_session import Array


class FakeSession:
    """An :class:`~serve_app.vision.onnx_session.InferenceSession` that computes its outputs with a function."""

    def __init__(self, function: Callable[[Array], list[Array]], output_names: Sequence[str] = ("output",)) -> None:
        self.provider = "fake"
        self.output_names = tuple(output_names)
        self._function = function

    def run(self, batch: Array) -> list[Array]:
        """See :class:`~serve_app.vision.onnx_session.InferenceSession`."""
        return self._function(batch)

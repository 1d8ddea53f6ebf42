"""A gallery between the matcher stage and the real gallery that a test can delay or let fail."""

from __future__ import annotations

from typing import Any

from serve_app.contracts import Matcher, methods
from serve_app.gallery import Gallery

CALLS = {method.name for method in methods(Matcher)}


class ControlledGallery:
    """Passes every call on to the real gallery, with two exceptions.

    Calls of the contract raise ``failure`` while it is set. The stage's rounds of background work and upkeep do
    nothing unless ``background`` is set: a test that wants them calls the real gallery's ``work`` and ``maintain``,
    and finds every task as it left it.
    """

    def __init__(self, gallery: Gallery, background: bool) -> None:
        self.failure: Exception | None = None
        self._gallery = gallery
        self._background = background

    def __getattr__(self, name: str) -> Any:
        if self.failure is not None and name in CALLS:
            raise self.failure
        return getattr(self._gallery, name)

    def work(self) -> bool:
        """A step of background work; False: there was nothing to do."""
        return self._background and self._gallery.work()

    def move_index(self) -> bool:
        """A step of moving the index; False: there was nothing to do."""
        return self._background and self._gallery.move_index()

    def maintain(self) -> None:
        """Upkeep."""
        if self._background:
            self._gallery.maintain()

"""What the package logs goes where Ray Serve's own log of the replica goes, in its format, with the request's id."""

from __future__ import annotations

import logging


def join_serve_log() -> None:
    """Hand this package's records to Serve's handlers. Only inside a replica; a second call changes nothing."""
    ours, serves = logging.getLogger("serve_app"), logging.getLogger("ray.serve")
    ours.handlers, ours.propagate = list(serves.handlers), False
    ours.setLevel(logging.INFO)

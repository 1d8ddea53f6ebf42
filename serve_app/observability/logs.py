"""What the package logs goes where Ray Serve's own log of the replica goes, in its format, with the request's id."""

from __future__ import annotations

import logging


def join_serve_log() -> None:
    """Hand this package's records to Serve's handlers, also to those that it sets up later. Only inside a replica."""
    ours = logging.getLogger("serve_app")
    ours.parent = logging.getLogger("ray.serve")
    ours.setLevel(logging.INFO)

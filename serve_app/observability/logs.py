"""Logging inside Serve replicas: the package's records go to Serve's log, in its format, with the request's id."""

from __future__ import annotations

import logging


def join_serve_log() -> None:
    """Hand this package's records to Serve's handlers, including those set up later. Call only inside a replica."""
    ours = logging.getLogger("serve_app")
    ours.parent = logging.getLogger("ray.serve")
    ours.setLevel(logging.INFO)

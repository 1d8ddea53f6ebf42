"""Paths of the FR Server dialect, one router per subject."""

from __future__ import annotations

from serve_app.api.dialects.opencv_fr_server.routes import collections, persons, search

routers = (search.router, collections.router, persons.router)

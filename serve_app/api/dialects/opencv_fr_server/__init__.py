"""Dialect of the self-hosted OpenCV Face Recognition Server: JSON with base64 images, the header ``x-api-key``.

``docs/dialects/opencv-fr-server.md`` tells what is taken from the vendor's page and what is our interpretation.
"""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.opencv_fr_server.errors import translate
from serve_app.api.dialects.opencv_fr_server.routes import collections, persons, search

opencv_fr_server = Dialect(
    "opencv-fr-server", (search.router, collections.router, persons.router), translate, tag="OpenCV FR Server"
)

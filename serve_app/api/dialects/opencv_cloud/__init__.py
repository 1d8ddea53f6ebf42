"""Dialect of the OpenCV Face Recognition cloud: JSON with base64 images, the header ``x-api-key``.

The vendor's self-hosted server has a different API, :mod:`serve_app.api.dialects.opencv_fr_server`.
``docs/dialects/opencv-fr-cloud.md`` lists the differences from the vendor's service.
"""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.opencv_cloud.errors import translate
from serve_app.api.dialects.opencv_cloud.routes import routers

opencv_fr_cloud = Dialect(
    name="opencv-fr-cloud", routers=routers, translate=translate, prefix="/opencv-fr", tag="OpenCV FR cloud"
)

"""The dialect of the OpenCV Face Recognition cloud: JSON with base64 pictures, the header ``x-api-key``.

The vendor's self-hosted server speaks another one, :mod:`serve_app.api.dialects.opencv_fr_server`.
``docs/dialects/opencv-fr-cloud.md`` says what differs from the vendor's.
"""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.opencv_cloud.errors import translate
from serve_app.api.dialects.opencv_cloud.routes import routers

opencv_fr_cloud = Dialect(
    name="opencv-fr-cloud",
    routers=routers,
    translate=translate,
    prefix="/opencv-fr",
    tag="OpenCV FR cloud",
)

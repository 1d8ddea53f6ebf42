"""The dialect of the OpenCV Face Recognition cloud: JSON with base64 pictures, the header ``x-api-key``.

The vendor's self-hosted server speaks another one, :mod:`serve_app.api.dialects.opencv_fr_server`.
``docs/dialects/opencv-fr-cloud.md`` says what differs from the vendor's.
"""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.opencv_cloud import collections, images, persons, pictures, search
from serve_app.api.dialects.opencv_cloud.common import with_double_slash
from serve_app.api.dialects.opencv_cloud.errors import translate

_ROUTERS = (pictures.router, collections.router, images.router, persons.router, search.router)

opencv_fr_cloud = Dialect(
    name="opencv-fr-cloud",
    routers=(*_ROUTERS, with_double_slash(_ROUTERS)),
    translate=translate,
    prefix="/opencv-fr",
)

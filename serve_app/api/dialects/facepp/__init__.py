"""Dialect of the Face++ v3 API: forms with ``api_key`` and ``api_secret``, face tokens and FaceSets.

``docs/dialects/facepp.md`` tells what is taken from the vendor's pages and what is our interpretation.
"""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.facepp.errors import translate
from serve_app.api.dialects.facepp.routes import routers

facepp = Dialect(name="facepp", routers=routers, translate=translate, prefix="/facepp/v3", tag="Face++ v3")

"""The Face++ v3 dialect: forms with ``api_key`` and ``api_secret``, faces by tokens, FaceSets.

``docs/dialects/facepp.md`` says what is taken from the vendor's pages and what is our reading of them.
"""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.facepp.errors import translate
from serve_app.api.dialects.facepp.routes import routers

facepp = Dialect(
    name="facepp",
    routers=routers,
    translate=translate,
    prefix="/facepp/v3",
    tag="Face++ v3",
)

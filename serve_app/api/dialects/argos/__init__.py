"""Dialect of ARGOS Identity's Face ID, under ``/modules``; described in ``docs/dialects/argos.md``."""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.argos.errors import translate
from serve_app.api.dialects.argos.routes import router

argos = Dialect("argos", (router,), translate, prefix="/modules", tag="ARGOS")

"""Dialect of the face search in 9thSense's KYC service, at the root; described in ``docs/dialects/9thsense.md``."""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.ninthsense.errors import translate
from serve_app.api.dialects.ninthsense.routes import router

ninthsense = Dialect("9thsense", (router,), translate, tag="9thSense")

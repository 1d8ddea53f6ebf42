"""Dialects: the wire formats of vendors, in addition to the native API. This is the only list of them."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.api.dialect import Dialect
from serve_app.api.dialects.argos import argos
from serve_app.api.dialects.facepp import facepp
from serve_app.api.dialects.ninthsense import ninthsense
from serve_app.api.dialects.opencv_cloud import opencv_fr_cloud
from serve_app.api.dialects.opencv_fr_server import opencv_fr_server
from serve_app.errors import ConfigurationError

ALL: tuple[Dialect, ...] = (opencv_fr_server, ninthsense, argos, facepp, opencv_fr_cloud)
"""All dialects, in the order of the documentation."""

EVERY = "all"
"""The name that stands for all dialects in the setting."""


def chosen(names: Sequence[str]) -> tuple[Dialect, ...]:
    """The dialects named in the setting ``dialects``. Raises ConfigurationError for an unknown name."""
    known = {dialect.name: dialect for dialect in ALL}
    unknown = [name for name in names if name not in known and name != EVERY]
    if unknown:
        raise ConfigurationError(
            f"dialects: there is no {', '.join(map(repr, unknown))}; expected any of {', '.join((EVERY, *known))}"
        )
    return ALL if EVERY in names else tuple(known[name] for name in dict.fromkeys(names))

"""The vendors' wire formats that the service speaks beside its native API. A new one is added here and nowhere else."""

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
"""In the order in which the documentation shows them."""

EVERY_ONE = "all"
"""The setting's word for all of them."""


def chosen(names: Sequence[str]) -> tuple[Dialect, ...]:
    """The dialects that the setting ``dialects`` names.

    Raises:
        ConfigurationError: there is no such dialect.
    """
    known = {dialect.name: dialect for dialect in ALL}
    unknown = [name for name in names if name not in known and name != EVERY_ONE]
    if unknown:
        raise ConfigurationError(
            f"dialects: there is no {', '.join(map(repr, unknown))}; expected any of {', '.join((EVERY_ONE, *known))}"
        )
    return ALL if EVERY_ONE in names else tuple(known[name] for name in dict.fromkeys(names))

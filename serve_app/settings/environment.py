"""The environment variables with the prefix ``FACEGRAPH_``: which there are, and the refusal of all others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from serve_app.known_names import models_in, suggestion
from serve_app.settings.tree import PREFIX, Settings

OTHER_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        # of the command `facegraph`
        "CONFIG",
        "EXPORT_PASSPHRASE",
        "HOST",
        "METRICS_PORT",
        "MOVE_TOKEN",
        "PORT",
        "URL",
        "VERBOSE",
        # of tests, benchmarks and notebooks
        "BENCHMARK_DATA",
        "BENCHMARK_SESSIONS",
        "FAULT_KILLS",
        "FUZZ_EXAMPLES",
        "FUZZ_INPUTS",
        "FUZZ_SECONDS",
        "IMAGES",
        "SCREENSHOT",
        "TEST_CLUSTER",
        "TEST_WITHOUT_RAY",
        "TRIXIE",
    )
)
"""The variables that are no settings."""

OF_CLUSTERS = re.compile(
    PREFIX.rstrip("_")
    + r"(_\w+)?_(SERVICE_(HOST|PORT\w*)=.*|PORT=(tcp|udp|sctp)://.*|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*)"
)
"""Variables that Kubernetes sets in each pod for each service named ``facegraph...``, with their values."""


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A message for each variable with the prefix that nothing reads."""
    settings = set(_variables(Settings, PREFIX))
    known = settings | OTHER_VARIABLES
    short = [name.removeprefix(PREFIX) for name in known]  # else the common prefix would make all names similar
    problems = []
    seen: dict[str, str] = {}
    for name, value in sorted(environment.items()):
        prefixed = name.upper().startswith(PREFIX)
        other = seen.setdefault(name.upper(), name)
        if name.upper() in settings and other != name:  # the case of a setting does not count
            problems.append(f"{name}: is the same variable as {other}; set one of them")
        if (
            prefixed
            and name.upper() not in settings
            and name not in known
            and not OF_CLUSTERS.fullmatch(f"{name}={value}")
        ):
            near = suggestion(name[len(PREFIX) :], short).replace("'", f"'{PREFIX}", 1)
            problems.append(f"{name}: is not a known variable{near}")
    return problems


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield (prefix + name).upper()
        for section in models_in(field.annotation):
            yield from _variables(section, f"{prefix}{name}__")

"""Guided by coverage, where atheris is installed: ``python -m tests.fuzz.guided TARGET [options of libFuzzer]``.

For instance ``picture -max_total_time=600``. An input that fails is written to the current folder.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["serve_app", "PIL", "tomllib", "tarfile", "python_multipart"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until the options say that it is enough."""
    name, *options = sys.argv[1:]
    target = TARGETS[name]

    def attempt(data: bytes) -> None:
        with contextlib.suppress(*target.errors):
            target.read(target.mend(data))

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            (Path(corpus) / f"{number:04}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, corpus], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

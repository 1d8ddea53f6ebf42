"""Guided by coverage, where atheris is installed: ``python -m tests.fuzz.guided TARGET [options of libFuzzer]``.

For instance ``picture -max_total_time=600``. An input that fails is written to data/fuzz, and so are those that reach
new code, with which a later run begins.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["serve_app", "PIL", "tomllib", "tarfile", "python_multipart"]):
    from tests.fuzz.targets import TARGETS
from scripts.long_runs import FILE, LongRun

CORPUS = FILE.with_name("fuzz")
COUNTED_EVERY = 500


def main() -> None:
    """Fuzz until the options say that it is enough."""
    name, *options = sys.argv[1:]
    target = TARGETS[name]

    run = LongRun(f"input guided by coverage, {name}", recorded=True)
    number = 0

    def attempt(data: bytes) -> None:
        nonlocal number
        with contextlib.suppress(*target.errors):
            target.read(target.mend(data))
        number += 1
        if number % COUNTED_EVERY == 0:
            run.add(inputs=COUNTED_EVERY, failures=0)  # one would have ended it

    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(target.seeds()):
        (corpus / f"seed-{place:04}").write_bytes(seed)
    atheris.Setup([sys.argv[0], f"-artifact_prefix={CORPUS}/{name}-", *options, str(corpus)], attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

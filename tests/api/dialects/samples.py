"""Published samples, compared by keys, nesting and types."""

from __future__ import annotations

from typing import Any


def shape(value: Any) -> Any:
    """A JSON value with every leaf replaced by its type; whole numbers and fractions are both numbers."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return float if type(value) is int else type(value)

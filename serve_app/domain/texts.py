"""Rules for texts and times that come in, over HTTP and in archives.

Each function returns the value or raises ValueError, whose message does not quote the value.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def no_control(text: str) -> str:
    """A free text: of the control characters it may have line breaks and tabs."""
    if CONTROL_IN_LINES.search(text):
        raise ValueError("control characters are not allowed")
    return text


def one_line(text: str) -> str:
    """A text without control characters."""
    if CONTROL.search(text):
        raise ValueError("a text without control characters was expected")
    return text


def no_number(value: Any) -> Any:
    """Refuse what pydantic would read as seconds since 1970; 2030 would be half an hour after its midnight."""
    try:
        float(value)
    except (TypeError, ValueError):
        return value
    raise ValueError("a date or time as text was expected, such as 2030-01-31 or 2030-01-31T12:00:00Z")


def in_utc(time: dt.datetime) -> dt.datetime:
    """Refuse a time without a time zone, and one that UTC cannot express."""
    if time.tzinfo is None:
        raise ValueError("a time with a time zone was expected, such as 2030-01-31T12:00:00Z")
    try:
        time.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("a time within the years 1 to 9999 of UTC was expected") from None
    return time

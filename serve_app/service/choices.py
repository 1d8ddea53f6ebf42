"""Which faces of an image an operation is about."""

from __future__ import annotations

from typing import Literal

FaceChoice = Literal["largest", "all"]
EnrolmentChoice = Literal["one", "largest"]
ProbeChoice = Literal["largest", "one", "all"]
"""``one`` refuses an image where a second face is about as large as the largest one."""

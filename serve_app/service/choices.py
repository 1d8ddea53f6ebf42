"""Choices of the faces of an image that an operation uses."""

from __future__ import annotations

from typing import Literal

FaceChoice = Literal["largest", "all"]
EnrolmentChoice = Literal["one", "largest"]
ProbeChoice = Literal["largest", "one", "all"]
"""``one`` refuses an image in which a second face is about as large as the largest one."""

"""Large pictures are read in turn: which ones are large, and how their work is told from that of the others."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

Result = TypeVar("Result")

DECODED_BESIDE = 16_000_000
"""Most pixels that are decoded beside other pictures. Telephones' usual photographs have 12 million."""

SEARCHED_BESIDE = 6_000_000
"""Most pixels of a picture in which small faces are looked for beside others. In four directions this takes 0.7 s and
170 MB; from 16 million pixels on 2 s and 450 MB."""

_beside: ContextVar[bool] = ContextVar("work beside other pictures", default=False)


class LargePicture(BaseException):  # not an Exception: no handler of errors on the way shall take it for one
    """The picture is too large to be worked on beside others: the work begins anew when it is its turn."""


def beside_others(work: Callable[..., Result], *args: Any) -> Result:
    """Do work on a picture unless it is a large one. Raises LargePicture."""
    before = _beside.set(True)
    try:
        return work(*args)
    except LargePicture:
        pass
    finally:
        _beside.reset(before)
    raise LargePicture  # without the frames, which hold what was decoded


def check_turn(pixels: int, most: int) -> None:
    """Raise LargePicture for more pixels than ``most`` in work :func:`beside_others`. Outside of it, do nothing."""
    if pixels > most and _beside.get():
        raise LargePicture

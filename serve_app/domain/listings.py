"""Pages, slices and sort orders of listings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; ``cursor`` fetches the next one, None on the last."""

    items: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Part of a listing by position; ``total`` is the length of the whole listing."""

    items: tuple[T, ...]
    total: int


class PersonOrder(StrEnum):
    """Field by which a listing of persons is ordered; persons without a value come last, equal ones by id."""

    NAME = "name"
    DATE_OF_BIRTH = "date_of_birth"
    GENDER = "gender"
    NATIONALITY = "nationality"
    CREATED = "created"
    MODIFIED = "modified"

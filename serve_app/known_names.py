"""Known names: what to say about a name that is not among them or is written twice, and the names of a model."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel

MAX_COMPARED = 100
"""Characters of a name that is compared with the known ones."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest known name as ``; did you mean 'x'?``, or an empty text if none is near. Case does not count."""
    if len(name) > MAX_COMPARED:
        return ""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def refuse_repeated_names(text: str | bytes) -> None:
    """Raise ValueError if an object in a JSON text has a name twice: parsers would take the last value only."""
    json.loads(text, object_pairs_hook=_distinct, parse_int=str, parse_float=str, parse_constant=str)


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        seen: set[str] = set()
        for name, _ in members:
            if name in seen:
                raise ValueError(f"{name[:100]!r} is written twice in one object")
            seen.add(name)
    return found


def names_at(model: type[BaseModel], location: Sequence[str | int] = ()) -> list[str]:
    """The names of the fields that a model has at a location, as pydantic's errors give it: ``("policy",)``."""
    models = [model]
    for part in location:
        if isinstance(part, str):  # else the position in a list, whose items have the list's models
            fields = [each.model_fields[part] for each in models if part in each.model_fields]
            models = [inner for field in fields for inner in models_in(field.annotation)]
    return [name for each in models for name in _names(each)]


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, for example in ``list[Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.validation_alias, AliasChoices):
            yield from (str(choice) for choice in field.validation_alias.choices if choice != name)

"""Marks of contract methods, and how to list them.

A method of a stage's protocol says once, here, how it may be called. Threads of the matcher, repetition of calls to
another process and the methods of the Python handle are derived from these marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_READ, _INDEXED = "__contract_read__", "__contract_indexed__"
_BATCHED, _ON_HANDLE = "__contract_batched__", "__contract_on_handle__"


def read(function: Function) -> Function:
    """Mark a method that changes nothing: when a replica dies during the call, a second replica may be asked."""
    setattr(function, _READ, True)
    return function


def indexed(function: Function) -> Function:
    """Mark a method that needs the vector index: it waits while the index does not answer; others must not."""
    setattr(function, _INDEXED, True)
    return function


def batched(function: Function) -> Function:
    """Mark a read that each search needs: while the stage is busy, calls from another process are sent together."""
    setattr(function, _BATCHED, True)
    return function


def on_handle(function: Function) -> Function:
    """Mark a method of the matcher that the Python handle offers too, with ``tenant`` as a keyword argument."""
    setattr(function, _ON_HANDLE, True)
    return function


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a contract and its marks."""

    name: str
    doc: str  # where its documentation is, for docstrings of generated methods
    read: bool
    indexed: bool
    batched: bool
    on_handle: bool


def methods(contract: type) -> Iterator[Method]:
    """The public methods of a protocol, those of its bases included, by name."""
    for name in sorted(dir(contract)):
        function = getattr(contract, name)
        if name.startswith("_") or not callable(function):
            continue
        yield Method(
            name,
            f"See :meth:`{function.__module__}.{function.__qualname__}`.",
            getattr(function, _READ, False),
            getattr(function, _INDEXED, False),
            getattr(function, _BATCHED, False),
            getattr(function, _ON_HANDLE, False),
        )


def named(method: Method, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with the name and the documentation of a contract method that it implements."""
    function.__name__ = function.__qualname__ = method.name
    function.__doc__ = method.doc
    return function

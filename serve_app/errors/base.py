"""Base classes of the errors."""

from __future__ import annotations

from typing import Any, ClassVar


class FacegraphError(Exception):
    """Base of all errors that facegraph raises on purpose.

    Attributes:
        code: stable identifier.
        status: HTTP status in the native API.
        message: explanation for people.
        details: JSON-ready facts for programs.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)


def _rebuild(cls: type[FacegraphError], message: str, details: dict[str, Any]) -> FacegraphError:
    return cls(message, **details)


class InvalidRequest(FacegraphError):
    """A parameter is missing, malformed or contradicts another one."""

    code, status = "invalid_request", 400

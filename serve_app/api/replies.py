"""Successful JSON responses, for every dialect. They carry personal data, so no cache may keep them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.responses import Response
from pydantic import BaseModel


def reply(answer: BaseModel, status: int = 200) -> Response:
    """The answer as JSON."""
    return _reply(answer.model_dump_json(), status)


def reply_list(answers: Sequence[BaseModel], status: int = 200) -> Response:
    """The answers as a JSON array."""
    return _reply("[" + ",".join(answer.model_dump_json() for answer in answers) + "]", status)


def _reply(content: str, status: int) -> Response:
    return Response(content, status, {"Cache-Control": "no-store"}, media_type="application/json")

"""Serialised form of one person of an upload: a line of JSON, followed by the bytes of the images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt


@dataclass(frozen=True, slots=True)
class Content:
    """An image: its bytes, or the URL to fetch it from. ``name`` identifies it in the report."""

    name: str
    content: bytes = b""
    url: str = ""


class _Picture(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    size: NonNegativeInt
    url: str


class _Head(BaseModel):
    """The line of JSON. The fields are checked when they are used, as those of a request."""

    model_config = ConfigDict(strict=True)
    fields: dict[str, Any]
    pictures: list[_Picture]


@dataclass(frozen=True, slots=True)
class Payload:
    """Images and fields of one person; ``fields`` has the names and values of a request."""

    pictures: tuple[Content, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)

    def pack(self) -> bytes:
        """Serialise; the inverse of :meth:`unpack`."""
        pictures = [{"name": each.name, "size": len(each.content), "url": each.url} for each in self.pictures]
        head = json.dumps({"fields": dict(self.fields), "pictures": pictures}).encode()
        return b"\n".join((head, b"".join(each.content for each in self.pictures)))

    @classmethod
    def unpack(cls, packed: bytes) -> Payload:
        """Read a payload. Raises ValueError if the bytes are no payload or are incomplete."""
        head, _, contents = packed.partition(b"\n")
        described = _Head.model_validate_json(head)
        pictures = []
        begin = 0
        for each in described.pictures:
            content = contents[begin : begin + each.size]
            if len(content) < each.size:
                raise ValueError("the contents are cut off")
            pictures.append(Content(each.name, content, each.url))
            begin += each.size
        return cls(tuple(pictures), described.fields)

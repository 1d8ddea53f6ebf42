"""The number of values of a JSON text, before it is parsed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.json_bounds import FEW, has_more_values


def values(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values, inner)) + (value in ([], {}))


TEXTS = st.text('a,[{"\\é\n', max_size=300)
JSON = st.recursive(
    st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=300) | st.dictionaries(TEXTS, inner, max_size=30)
)


@given(JSON, st.booleans())
def test_what_has_no_more_values_is_never_refused(value: Any, as_ascii: bool) -> None:
    content = json.dumps(value, ensure_ascii=as_ascii).encode()
    assert not has_more_values(content, max(FEW, values(value)))


@pytest.mark.parametrize("item", ["0", '"a"', '"\\\\"', '",[\\","', "[]", "[[0]]", '{"a": 0}', '{"\\"": {}}'])
def test_more_values_are_found(item: str) -> None:
    def several(n: int) -> bytes:
        return f"[{','.join([item] * n)}]".encode()

    assert not has_more_values(several(FEW // 4), FEW)
    assert has_more_values(several(FEW + 1), FEW)
    assert has_more_values(several(100_000), 10_000)


def test_separators_in_texts_do_not_count() -> None:
    assert not has_more_values(b'{"a": "' + b"[{," * 10**6 + b'"}', FEW)
    assert not has_more_values(b'{"a": "' + b'\\",\\\\' * 10**6 + b'"}', FEW)


@pytest.mark.parametrize("content", [b"", b'"' * 10**6, b"\\" * 10**6, b'\\"' * 10**6, b":" * 10**6, b"," * 101 + b'"'])
def test_what_is_not_json_is_counted_too(content: bytes) -> None:
    has_more_values(content, FEW)

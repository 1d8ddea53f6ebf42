"""Damage to bytes: transmission errors and deliberate manipulation."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

EXTREMES = [b"\x00", b"\xff", b"\x7f", b"\x80", b"\x01"]
MOST_BYTES = 2**20
"""Longer results are cut off: sizes are limits' business, see the tests of limits."""

Mutation = Callable[[random.Random, bytes], bytes]


def truncate(rng: random.Random, data: bytes) -> bytes:
    """Cut off anywhere; often near the beginning, where the headers are."""
    return data[: rng.randrange(min(len(data), rng.choice((64, 1024, len(data)))) + 1)]


def flip_bits(rng: random.Random, data: bytes) -> bytes:
    """One to 16 of them."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 16))):
        at = _place(rng, changed)
        changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_extremes(rng: random.Random, data: bytes) -> bytes:
    """One to eight bytes in a row, where lengths and counts may be: 0, 255, 127, 128, 1."""
    at = _place(rng, data)
    run = rng.choice(EXTREMES) * rng.choice((1, 2, 4, 8))
    return data[:at] + run + data[at + len(run) :]


def drop(rng: random.Random, data: bytes) -> bytes:
    """A piece is missing."""
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 16, 512, len(data))) :]


def insert(rng: random.Random, data: bytes) -> bytes:
    """Noise in between."""
    at = _place(rng, data)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 64, 4096))) + data[at:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    """A piece comes many times."""
    at = _place(rng, data)
    piece = data[at : at + rng.choice((1, 4, 32, 256, 4096))]
    return data[:at] + piece * rng.choice((2, 10, 1000)) + data[at:]


def overwrite(rng: random.Random, data: bytes) -> bytes:
    """Noise instead of a piece."""
    at = _place(rng, data)
    noise = rng.randbytes(rng.choice((1, 4, 64, 1024)))
    return data[:at] + noise + data[at + len(noise) :]


MUTATIONS: Sequence[Mutation] = (truncate, flip_bits, set_extremes, drop, insert, repeat, overwrite)


def mutate(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to four mutations; at times the end of another file first."""
    if rng.random() < 0.1:
        other = rng.choice(others)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.choice((1, 1, 2, 4))):
        if data:
            data = rng.choice(MUTATIONS)(rng, data)[:MOST_BYTES]
    return data


def _place(rng: random.Random, data: bytes | bytearray) -> int:
    """Anywhere; in half of the cases in the first 128 bytes."""
    return rng.randrange(min(len(data), rng.choice((128, len(data)))))

"""Exact comparison of all faces of a collection with each other, in steps of a fraction of a second.

The faces are read in blocks, and only two blocks are in memory. The matrix product of two blocks of templates is the
matrix of their cosines. For 100,000 faces of 128 dimensions that is 1.3 * 10^12 multiplications, less work than 100,000
searches of an index, and no pair is missed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records.duplicates import Block, Likeness, Pair, block

BLOCK = 4096
"""Faces of a block."""

ROWS = 256
"""Rows of a block whose cosines are in memory at once: 4 MB."""

STEP_S = 0.25
"""Seconds of one step."""


class TooManyPairs(Exception):
    """A step found more pairs than can be stored."""


@dataclass(slots=True)
class Scan:
    """Input and progress of the comparison of a collection's faces. Stored with the task.

    Attributes:
        collection_id, model: which faces are compared.
        cosine: two faces are a pair from this cosine on.
        outer: id of the last face that has been compared with all others; empty at the start.
        inner: id of the last face that the block after ``outer`` has been compared with; empty if with none.
        done: number of comparisons made.
        finished: whether all faces have been compared.
    """

    collection_id: str
    model: str
    cosine: float
    outer: str = ""
    inner: str = ""
    done: int = 0
    finished: bool = False

    def step(self, database: Database, most: int, seconds: float | None = None) -> dict[Pair, Likeness]:
        """Continue for about this long, by default :data:`STEP_S`; the pairs found, each with its most similar faces.

        Raises TooManyPairs: there are more than ``most``.
        """
        until = time.monotonic() + (STEP_S if seconds is None else seconds)
        found: dict[Pair, Likeness] = {}
        with database.read() as connection:
            for pair, likeness in self._compare(connection, until):
                if pair not in found or likeness.cosine > found[pair].cosine:
                    found[pair] = likeness
                if len(found) > most:
                    raise TooManyPairs
        return found

    def _compare(self, connection: sa.Connection, until: float) -> Iterator[tuple[Pair, Likeness]]:
        outer_block: Block | None = None
        while not self.finished:
            if outer_block is None:
                outer_block = block(connection, self.collection_id, self.model, self.outer, BLOCK)
                if not outer_block.ids:
                    self.finished = True
                    return
            if not self.inner:
                yield from _similar(outer_block, outer_block, self.cosine)
                self.inner = outer_block.ids[-1]
                self.done += len(outer_block.ids) * (len(outer_block.ids) - 1) // 2
            else:
                inner_block = block(connection, self.collection_id, self.model, self.inner, BLOCK)
                if inner_block.ids:
                    yield from _similar(outer_block, inner_block, self.cosine)
                    self.inner = inner_block.ids[-1]
                    self.done += len(outer_block.ids) * len(inner_block.ids)
                else:
                    self.outer, self.inner, outer_block = outer_block.ids[-1], "", None
            if time.monotonic() >= until:
                return


def _similar(outer_block: Block, inner_block: Block, lowest: float) -> Iterator[tuple[Pair, Likeness]]:
    """Pairs of faces of different owners with at least this cosine; within one block each pair once."""
    numbers = {owner: number for number, owner in enumerate({*outer_block.owners, *inner_block.owners})}
    own = np.array([numbers[owner] for owner in outer_block.owners])
    other = np.array([numbers[owner] for owner in inner_block.owners])
    for start in range(0, len(outer_block.ids), ROWS):
        cosines = outer_block.templates[start : start + ROWS] @ inner_block.templates.T
        rows, columns = np.nonzero(cosines >= lowest)
        rows += start
        chosen = own[rows] != other[columns]
        if outer_block is inner_block:
            chosen &= rows < columns
        for row, column in zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True):
            first, second = sorted(
                [(outer_block.owners[row], outer_block.ids[row]), (inner_block.owners[column], inner_block.ids[column])]
            )
            cosine = min(1.0, float(cosines[row - start, column]))
            yield Pair(first[0], second[0]), Likeness(first[1], second[1], cosine)

"""All faces of a collection against one another, exactly, in pieces that fit into memory and a fraction of a second.

The product of two blocks of templates is their cosines. For 100,000 faces of 128 dimensions that is 1.3 * 10^12
multiplications, less work than 100,000 searches of an index, and no pair is missed. Only two blocks are in memory.
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
ROWS = 256
"""Rows of a block whose cosines are in memory at once: 4 MB."""

STEP_S = 0.25


class TooManyPairs(Exception):
    """More than may be stored."""


@dataclass(slots=True)
class Scan:
    """How far the comparison of a collection's faces is.

    Attributes:
        collection_id, model: which faces.
        cosine: from which on two faces count as alike.
        outer: id of the last face that has been compared with all others.
        inner: id of the last face that those of the block after ``outer`` have been compared with; empty for none.
        done: comparisons.
    """

    collection_id: str
    model: str
    cosine: float
    outer: str = ""
    inner: str = ""
    done: int = 0
    finished: bool = False

    def step(self, database: Database, most: int, seconds: float | None = None) -> dict[Pair, Likeness]:
        """Go on for about so long; what was found on the way, at most ``most`` pairs.

        Raises:
            TooManyPairs.
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
        these: Block | None = None
        while not self.finished:
            if these is None:
                these = block(connection, self.collection_id, self.model, self.outer, BLOCK)
                if not these.ids:
                    self.finished = True
                    return
            if not self.inner:
                yield from _alike(these, these, self.cosine)
                self.inner = these.ids[-1]
                self.done += len(these.ids) * (len(these.ids) - 1) // 2
            else:
                others = block(connection, self.collection_id, self.model, self.inner, BLOCK)
                if others.ids:
                    yield from _alike(these, others, self.cosine)
                    self.inner = others.ids[-1]
                    self.done += len(these.ids) * len(others.ids)
                else:
                    self.outer, self.inner, these = these.ids[-1], "", None
            if time.monotonic() >= until:
                return


def _alike(these: Block, others: Block, lowest: float) -> Iterator[tuple[Pair, Likeness]]:
    """Pairs of different persons' faces; within one block each once."""
    numbers = {owner: number for number, owner in enumerate({*these.owners, *others.owners})}
    own = np.array([numbers[owner] for owner in these.owners])
    other = np.array([numbers[owner] for owner in others.owners])
    for start in range(0, len(these.ids), ROWS):
        cosines = these.templates[start : start + ROWS] @ others.templates.T
        rows, columns = np.nonzero(cosines >= lowest)
        rows += start
        chosen = own[rows] != other[columns]
        if these is others:
            chosen &= rows < columns
        for row, column in zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True):
            first, second = sorted([(these.owners[row], these.ids[row]), (others.owners[column], others.ids[column])])
            cosine = min(1.0, float(cosines[row - start, column]))
            yield Pair(first[0], second[0]), Likeness(first[1], second[1], cosine)

"""What must be true after a kill: each acknowledged change is there, and a change in progress is complete or absent."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from serve_app.domain import ThresholdRequest
from serve_app.gallery import Gallery
from tests.faults.workload import COLLECTIONS, TENANT, State, photograph, seed_of, state_of, thumbnail
from tests.gallery.samples import query
from tests.gallery.stores import check_consistent

PROBES = 100


class Ledger:
    """Reads a victim's lines and compares with what is stored."""

    def __init__(self) -> None:
        self._possible: dict[str, list[State]] = {}
        self._next: dict[str, State] = {}
        self._seeds: set[int] = set()
        self.acknowledged = 0
        self.refused = 0
        self.unknown = 0
        self.cut_short = 0
        self._counted = {"acknowledged": 0, "refused": 0, "unknown": 0, "cut_short": 0}

    def hear(self, line: str) -> list[Any]:
        """One line of the workload."""
        event, *rest = words = json.loads(line)
        if event not in ("begin", "done", "failed", "unknown", "read"):
            return list(words)
        person = rest[0]
        if event == "begin":
            now, after = self._possible.get(person, [None])[-1:], rest[1]
            assert len(self._possible.get(person, [None])) == 1, f"{person} began a change from an unknown state"
            self._possible[person] = [*now, after]
            self._next[person] = after
            self._seeds.update(after[2] if after else ())
        elif event == "done":
            self._possible[person] = [self._next[person]]
            self.acknowledged += 1
        elif event == "failed":
            self._possible[person] = self._possible[person][:1]
            self.refused += 1
        elif event == "unknown":
            self.unknown += 1
        else:
            assert rest[1] in self._possible[person], f"{person} is {rest[1]}, not one of {self._possible[person]}"
            self._possible[person] = [rest[1]]
        return list(words)

    def check(self, gallery: Gallery) -> None:
        """Everything acknowledged is there, everything deleted is gone, nothing is half there, searches are right."""
        gallery._repairer.settle_journal(age=dt.timedelta(0))  # what a running service does a minute later
        check_consistent(gallery)
        stored = {person.id: person for person in _everybody(gallery)}
        for person_id, possible in self._possible.items():
            state = state_of(stored[person_id]) if person_id in stored else None
            assert state in possible, f"{person_id} is {state}, not one of {possible}"
            self.cut_short += len(possible) > 1
            self._possible[person_id] = [state]
        assert stored.keys() <= self._possible.keys()
        owner = {}
        for person in stored.values():
            for face in person.faces:
                seed = owner_seed = seed_of(face.image_id)
                owner[owner_seed] = person.id
                assert gallery.face_image(TENANT, face.id, "thumbnail") == thumbnail(seed)
                if photograph(seed) is not None:
                    assert gallery.face_image(TENANT, face.id, "photograph") == photograph(seed)
        gone = sorted(self._seeds - owner.keys())[:PROBES]  # some of those that no search may find
        seeds = [*owner, *gone]
        for start in range(0, len(seeds), PROBES):
            batch = seeds[start : start + PROBES]
            threshold = ThresholdRequest(min_score=0.75)
            found = gallery.search(TENANT, query(*batch, collections=COLLECTIONS, threshold=threshold)).matches
            for seed, matches in zip(batch, found, strict=True):
                names = [match.person.id for match in matches if match.person is not None]
                assert names == ([owner[seed]] if seed in owner else []), f"a search for {seed} found {names}"
        self._seeds = set(seeds)

    def counts(self) -> dict[str, int]:
        """What was heard and found since the last call; ``lost`` is 0, or :meth:`check` had failed."""
        before, self._counted = self._counted, {name: getattr(self, name) for name in self._counted}
        return {"lost": 0, **{name: number - before[name] for name, number in self._counted.items()}}

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} changes acknowledged, {self.refused} refused, {self.unknown} of unknown outcome, "
            f"{self.cut_short} cut short by a kill; lost: 0"
        )


def _everybody(gallery: Gallery) -> list[Any]:
    people: list[Any] = []
    cursor = None
    while True:
        page = gallery.persons(TENANT, limit=1000, cursor=cursor)
        people += page.items
        cursor = page.cursor
        if cursor is None:
            return people

"""Background tasks: all duplicates are found and no others, also when the process dies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields, Task, TaskState, ThresholdRequest
from serve_app.errors import CollectionNotFound, InvalidRequest, PersonNotFound, TaskNotFound, TaskRunning
from serve_app.gallery import Gallery
from serve_app.gallery.jobs import duplicate_scan, tasks
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import MODEL, OTHER_MODEL, face, template
from tests.gallery.stores import check_consistent, in_memory

ALIKE = ThresholdRequest(min_score=0.6)  # cosine 0.4


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks, and a separate step for each."""
    monkeypatch.setattr(duplicate_scan, "BLOCK", 7)
    monkeypatch.setattr(duplicate_scan, "ROWS", 3)
    monkeypatch.setattr(duplicate_scan, "STEP_S", 0.0)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Gallery]:
    """A separate gallery with an index in memory, for tests that concern only the records."""
    with in_memory(tmp_path) as opened:
        yield opened


def finished(gallery: Gallery, tenant: str, task: Task, steps: int = 10_000) -> Task:
    """Work until the task has ended; the ended task."""
    for _ in range(steps):
        if (now := gallery.task(tenant, task.id)).state.is_final:
            return now
        gallery.work()
    raise AssertionError(f"still {now.state} after {steps} steps")


def names(gallery: Gallery, tenant: str, task: Task, limit: int = 1000) -> list[frozenset[str]]:
    """The persons of all pairs, read page by page."""
    found, cursor = [], None
    while True:
        page = gallery.duplicates(tenant, task.id, limit, cursor)
        found += [frozenset(side.person.id if side.person else "" for side in (p.first, p.second)) for p in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


def crowd(gallery: Gallery, tenant: str) -> set[frozenset[str]]:
    """Enrol two dozen persons with up to three faces, some of them similar; the similar pairs."""
    gallery.create_collection(tenant, NewCollection("staff"))
    gallery.create_collection(tenant, NewCollection("guests"))
    rng = np.random.default_rng(7)
    templates = {}
    for number in range(24):
        twin = number % 2 if number % 3 == 0 else None
        seeds = [1000 * (number + 1) + index for index in range(1 + number % 3)]
        kept = [template(seed, near=twin, cosine=float(rng.uniform(0.6, 0.95))) for seed in seeds]
        templates[f"p{number}"] = kept
        gallery.put_person(tenant, f"p{number}", ["staff"], PersonFields(), [face(vector) for vector in kept])
    gallery.put_person(tenant, "guest", ["guests"], PersonFields(), [face(templates["p0"][0])])
    return {
        frozenset((a, b))
        for a, b in combinations(templates, 2)
        if max(float(x @ y) for x in templates[a] for y in templates[b]) >= 0.4
    }


@pytest.mark.usefixtures("small_pieces")
def test_all_pairs_are_found_best_first_and_each_once(gallery: Gallery, tenant: str) -> None:
    expected = crowd(gallery, tenant)
    assert len(expected) > 5
    task = gallery.find_duplicates(tenant, "staff", MODEL, ALIKE)
    assert (task.state, task.kind, task.arguments["faces"]) == (TaskState.WAITING, "duplicates", 48)
    task = finished(gallery, tenant, task)
    assert (task.state, task.error, task.done) == (TaskState.DONE, "", task.total)
    assert task.total == 48 * 47 // 2
    assert task.result == {"pairs": len(expected)}
    found = names(gallery, tenant, task, limit=3)
    assert len(found) == len(expected)
    assert set(found) == expected
    pairs = gallery.duplicates(tenant, task.id).items
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)
    for pair in pairs:
        a, b = (gallery.template(tenant, side.face.id)[1][0] for side in (pair.first, pair.second))
        assert pair.distance == pytest.approx(1 - float(a @ b), abs=1e-5)
    assert gallery.tasks(tenant)[0].id == task.id


def test_without_a_threshold_it_is_that_of_a_search(memory: Gallery) -> None:
    memory.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    for number in range(4):
        vector = template(number, near=100, cosine=0.9)
        memory.put_person(DEFAULT_TENANT, f"p{number}", ["staff"], PersonFields(), [face(vector)])
    task = finished(memory, DEFAULT_TENANT, memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL))
    assert task.arguments["min_score"] == pytest.approx(0.63, abs=0.01)  # FPIR 1 % among four
    assert len(names(memory, DEFAULT_TENANT, task)) == 6


def test_faces_without_a_person_and_of_other_models(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    by_another = template(2, dimension=16)
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(), [face(1), face(by_another, model=OTHER_MODEL)])
    gallery.put_person(tenant, "eve", ["staff"], PersonFields(), [face(by_another, model=OTHER_MODEL)])
    (unassigned,) = gallery.add_faces(tenant, [face(template(9, near=1))])
    gallery.attach_faces(tenant, "staff", [unassigned.id])
    task = finished(gallery, tenant, gallery.find_duplicates(tenant, "staff", MODEL, ALIKE))
    assert task.arguments["faces_of_other_models"] == 2
    (pair,) = gallery.duplicates(tenant, task.id).items
    assert {side.person and side.person.id for side in (pair.first, pair.second)} == {None, "ada"}
    gallery.delete_person(tenant, "ada")
    assert gallery.duplicates(tenant, task.id).items == ()


def test_who_was_told_apart_is_found_no_more(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    gallery.create_collection(tenant, NewCollection("guests"))
    for number, person in enumerate(("ada", "bea", "cleo")):
        vector = template(number, near=100, cosine=0.9)
        gallery.put_person(tenant, person, ["staff"], PersonFields(), [face(vector)])
    gallery.put_person(tenant, "guest", ["guests"], PersonFields(), [face(100)])

    def look() -> tuple[Task, set[frozenset[str]]]:
        task = finished(gallery, tenant, gallery.find_duplicates(tenant, "staff", MODEL, ALIKE))
        return task, set(names(gallery, tenant, task))

    before, all_three = look()
    assert len(all_three) == 3
    for pair in (("bea", "ada"), ("ada", "bea"), ("ada", "cleo")):  # in any order, and again
        gallery.tell_apart(tenant, *pair, "staff")
    task, left = look()
    assert left == {frozenset(("bea", "cleo"))}
    assert task.result == {"pairs": 1}
    assert len(gallery.duplicates(tenant, before.id).items) == 1, "also among pairs that were found before"
    everything = gallery.duplicates(tenant, task.id, with_distinct=True).items
    assert sorted(pair.distinct for pair in everything) == [False, True, True]
    gallery.tell_apart(tenant, "ada", "cleo", apart=False)
    assert len(look()[1]) == 2

    for known, other, place, error in (
        ("ada", "ada", None, InvalidRequest),
        ("ada", "nobody", None, PersonNotFound),
        ("ada", "guest", "staff", PersonNotFound),
        ("ada", "bea", "nowhere", CollectionNotFound),
    ):
        with pytest.raises(error):
            gallery.tell_apart(tenant, known, other, place)
    with pytest.raises(PersonNotFound):
        gallery.tell_apart(new_tenant(gallery), "ada", "cleo")

    gallery.delete_person(tenant, "bea")
    gallery.put_person(tenant, "bea", ["staff"], PersonFields(), [face(template(1, near=100, cosine=0.9))])
    assert len(look()[1]) == 3, "the mark of an erased person does not apply to a new person with the same id"

    said = [entry for entry in gallery.export_audit(tenant) if entry.action == "tell_apart"]
    assert [entry.details["distinct"] for entry in said] == [True, True, True, False], "refused calls are not recorded"
    assert all(len(entry.subjects) == 2 for entry in said)


def test_who_is_merged_hands_on_who_it_is_not(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    for number, person in enumerate(("ada", "bea", "cleo", "dora")):
        vector = template(number, near=100, cosine=0.9)
        gallery.put_person(tenant, person, ["staff"], PersonFields(), [face(vector)])
    for pair in (("ada", "bea"), ("bea", "cleo"), ("dora", "bea"), ("dora", "ada")):
        gallery.tell_apart(tenant, *pair)
    gallery.merge_persons(tenant, "ada", "bea")
    task = finished(gallery, tenant, gallery.find_duplicates(tenant, "staff", MODEL, ALIKE))
    assert set(names(gallery, tenant, task)) == {frozenset(("cleo", "dora"))}


def test_an_empty_collection_has_none(memory: Gallery) -> None:
    memory.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    task = finished(memory, DEFAULT_TENANT, memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL))
    assert (task.state, task.result, task.total) == (TaskState.DONE, {"pairs": 0}, 0)
    assert memory.work() is False


@pytest.mark.usefixtures("small_pieces")
def test_a_task_is_cancelled_and_keeps_what_it_found(memory: Gallery) -> None:
    crowd(memory, DEFAULT_TENANT)
    task = memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL, ThresholdRequest(min_score=0.0))
    with pytest.raises(TaskRunning):
        memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL)
    for _ in range(3):
        assert memory.work()
    assert memory.task(DEFAULT_TENANT, task.id).state is TaskState.RUNNING
    assert 0 < memory.task(DEFAULT_TENANT, task.id).done < task.total
    cancelled = memory.cancel_task(DEFAULT_TENANT, task.id)
    assert cancelled.state is TaskState.CANCELLED
    found = len(names(memory, DEFAULT_TENANT, task))
    assert found > 0
    while memory.work():
        pass
    assert memory.task(DEFAULT_TENANT, task.id) == cancelled == memory.cancel_task(DEFAULT_TENANT, task.id)
    assert len(names(memory, DEFAULT_TENANT, task)) == found
    again = memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL)
    assert finished(memory, DEFAULT_TENANT, again).state is TaskState.DONE


def test_too_many_pairs_are_refused_in_words(memory: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(memory, DEFAULT_TENANT)
    monkeypatch.setattr(tasks, "MAX_PAIRS", 10)
    task = finished(
        memory, DEFAULT_TENANT, memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL, ThresholdRequest(min_score=0.0))
    )
    assert task.state is TaskState.FAILED
    assert "higher min_score" in task.error


def test_a_task_that_takes_too_long_fails_in_words(memory: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(memory, DEFAULT_TENANT)
    task = memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL)
    monkeypatch.setattr(tasks, "TIME_LIMIT", dt.timedelta(0))
    assert "longer than" in finished(memory, DEFAULT_TENANT, task).error


def test_a_deleted_collection_ends_its_task(memory: Gallery) -> None:
    crowd(memory, DEFAULT_TENANT)
    task = memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL)
    memory.delete_collection(DEFAULT_TENANT, "staff")
    done = finished(memory, DEFAULT_TENANT, task)
    assert (done.state, done.error) == (TaskState.FAILED, "The collection was deleted.")
    check_consistent(memory)


def test_what_is_refused(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    with pytest.raises(CollectionNotFound):
        gallery.find_duplicates(tenant, "nowhere", MODEL)
    with pytest.raises(CollectionNotFound):
        gallery.find_duplicates(new_tenant(gallery), "staff", MODEL)
    for model, threshold in (("none", ALIKE), (MODEL, ThresholdRequest(2.0)), (MODEL, ThresholdRequest(0.5, 0.5))):
        with pytest.raises(InvalidRequest):
            gallery.find_duplicates(tenant, "staff", model, threshold)
    task = finished(gallery, tenant, gallery.find_duplicates(tenant, "staff", MODEL))
    for call in (gallery.task, gallery.cancel_task, gallery.duplicates):
        for someone, task_id in ((new_tenant(gallery), task.id), (tenant, "0" * 32), (tenant, "'; --")):
            with pytest.raises(TaskNotFound):
                call(someone, task_id)
    other = gallery.add_task(tenant, "something", {})
    with pytest.raises(TaskNotFound):
        gallery.duplicates(tenant, other.id)
    for cursor in ("x", "WzEsICJ4Il0"):
        with pytest.raises(InvalidRequest):
            gallery.duplicates(tenant, task.id, 10, cursor)


@pytest.mark.usefixtures("small_pieces")
def test_a_task_goes_on_where_the_process_before_ended(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        expected = crowd(gallery, DEFAULT_TENANT)
        task = gallery.find_duplicates(DEFAULT_TENANT, "staff", MODEL, ALIKE)
        for _ in range(4):
            gallery.work()
        reached = gallery.task(DEFAULT_TENANT, task.id).done
    with in_memory(tmp_path) as gallery:
        gallery.recover()
        for _ in range(3):
            gallery.work()
        assert reached < gallery.task(DEFAULT_TENANT, task.id).done < task.total
        task = finished(gallery, DEFAULT_TENANT, task)
        assert set(names(gallery, DEFAULT_TENANT, task)) == expected


@pytest.mark.usefixtures("small_pieces")
def test_a_worker_that_fell_silent_loses_its_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_memory(tmp_path) as silent, in_memory(tmp_path) as other:
        expected = crowd(silent, DEFAULT_TENANT)
        task = silent.find_duplicates(DEFAULT_TENANT, "staff", MODEL, ALIKE)
        assert silent.work()
        assert not other.work()
        monkeypatch.setattr("serve_app.gallery.sql.records.tasks.CLAIM", dt.timedelta(0))
        assert silent.work()
        assert other.work()
        reached = other.task(DEFAULT_TENANT, task.id).done
        assert silent.work()  # too late: the results of this step are discarded
        assert other.task(DEFAULT_TENANT, task.id).done == reached
        assert set(names(other, DEFAULT_TENANT, finished(other, DEFAULT_TENANT, task))) == expected


def test_a_task_that_ends_its_workers_fails_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_ATTEMPTS", 1)
    monkeypatch.setattr(duplicate_scan, "STEP_S", 0.0)
    monkeypatch.setattr(duplicate_scan, "BLOCK", 7)
    with in_memory(tmp_path) as gallery:
        crowd(gallery, DEFAULT_TENANT)
        task = gallery.find_duplicates(DEFAULT_TENANT, "staff", MODEL)
        gallery.work()
    with in_memory(tmp_path) as gallery:
        gallery.recover()
        assert "was stopped 1 times" in finished(gallery, DEFAULT_TENANT, task).error


def test_what_is_old_is_forgotten_with_its_pairs(memory: Gallery) -> None:
    crowd(memory, DEFAULT_TENANT)
    task = finished(memory, DEFAULT_TENANT, memory.find_duplicates(DEFAULT_TENANT, "staff", MODEL, ALIKE))
    assert memory.forget_tasks(dt.datetime.now(dt.UTC) + dt.timedelta(days=8)) > 0
    with pytest.raises(TaskNotFound):
        memory.duplicates(DEFAULT_TENANT, task.id)

"""Open-set identification through HTTP: are enrolled people found, do strangers get an answer?

1,000 people are enrolled from one picture each. Every other picture of them is searched (``probes``), and one picture
each of people who are not enrolled (``strangers``). No threshold is sent: the service's own default is measured.

Many pictures of LFW show bystanders. The name belongs to the face in the middle, so that face counts
(``--faces central``): searches ask for all faces and look at the one nearest to the picture's centre; a picture to be
enrolled whose largest face is another one is cropped to the central face first, as a person would do it. With
``--faces largest`` the service's own choice is measured instead; a bystander nearer to the camera then counts as a
failure of the recognition.

    rank-1      share of probes whose most similar enrolled person is the right one, whatever the score
    found       share of probes that are answered with the right person as the best match (1 - FNIR)
    FPIR        share of strangers that get any answer
"""

from __future__ import annotations

import argparse
import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import pictures, plots
from benchmarks.dataset import DEFAULT_IMAGES, Split, read_people, split
from benchmarks.launcher import running_service
from benchmarks.report import Report, overrides
from benchmarks.statistics import Share, Spread, clustered, wilson
from serve_app.client import ApiError, Client, Json

COLLECTION = "benchmark"
TARGETS = {"rank_1": ">= 0.985", "found": ">= 0.95", "fpir": "<= 0.02"}

FaceOfPicture = Literal["central", "largest"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome:
    """What one picture's search said.

    Attributes:
        person: who is on the picture.
        best: id of the most similar enrolled person, None without a face or without anyone.
        score: of that person, 0 without.
        answered: with the default threshold, the best match's id; None without an answer.
        among: whether the right person is anywhere in the default answer.
        min_score: the default threshold that the service used.
        milliseconds: of the search with defaults, from the client's side.
    """

    person: str
    best: str | None
    score: float
    answered: str | None
    among: bool
    min_score: float
    milliseconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a sub-folder of pictures for each person")
    parser.add_argument("--people", type=int, default=1000, help="people to enrol")
    parser.add_argument("--limit", type=int, help="at most so many probes and so many strangers, for a quick look")
    parser.add_argument("--faces", choices=("central", "largest"), default="central", help="whose face a picture is of")
    parser.add_argument("--concurrency", type=int, default=4, help="requests at a time")
    parser.add_argument("--seed", type=int, default=1, help="draws who is enrolled")
    parser.add_argument("--url", help="a running service, whose collection 'benchmark' is replaced")
    parser.add_argument("--key", default="", help="its admin key")


def run(options: argparse.Namespace) -> Path:
    """Measure, print, write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, options.seed, options.limit)
    settings = {
        "images": str(options.images.name if options.images != DEFAULT_IMAGES else "LFW (shared/data/lfw/images)"),
        "people": options.people,
        "seed": options.seed,
        "limit": options.limit,
        "concurrency": options.concurrency,
        "faces": options.faces,
        "environment": overrides(),
    }
    name = "identification" if options.faces == "central" else "identification-largest"
    report = Report(name, settings, reference=options.reference)
    with service(options) as (url, key), Client(url, key, patience_s=120) as client:
        info = client.info()
        refused = enrol(client, chosen, options.faces, options.concurrency)
        probes = [(person, path) for person, paths in chosen.probes.items() for path in paths]
        strangers = list(chosen.strangers.items())
        found = search_all(client, probes, options.faces, options.concurrency, "Searching enrolled people")
        others = search_all(client, strangers, options.faces, options.concurrency, "Searching strangers")
        client.delete_collection(COLLECTION)
    figures = summarise(found, others)
    content = {
        "service": {"topology": info["topology"], "models": info["models"]},
        "enrolled": {"people": len(chosen.enrolled) - len(refused), "refused": refused},
        "targets": TARGETS,
        **{name: figure_of(value) for name, value in figures.items()},
    }
    plots.identification(report.plot_path(), found, others)
    for name, figure in figures.items():
        print(f"{name:>30}  {figure_of(figure) if isinstance(figure, Spread) else figure}")
    return report.write(content)


@contextlib.contextmanager
def service(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Address and key: of the service that was named, or of one of our own for the time being."""
    if options.url:
        yield options.url, options.key
        return
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as folder:
        print("Starting a service ...")
        with running_service(Path(folder) / "data") as own:
            yield own.url, own.key


def enrol(client: Client, chosen: Split, faces: FaceOfPicture, concurrency: int) -> dict[str, str]:
    """One picture for each person; who was refused, and why."""
    with contextlib.suppress(ApiError):
        client.delete_collection(COLLECTION)
    client.create_collection(COLLECTION, policy={"image_storage": "none"})

    def one(item: tuple[str, Path]) -> str | None:
        name, picture = item
        try:
            image = cropped_to_centre(client, picture) if faces == "central" else picture.read_bytes()
            client.put_person(COLLECTION, name, [image], name=name.replace("_", " "), faces="largest")
        except ApiError as error:
            return f"{error.code}: {error.message}"
        return None

    items = list(chosen.enrolled.items())
    answers = in_parallel(one, items, concurrency, "Enrolling")
    return {name: problem for (name, _), problem in zip(items, answers, strict=True) if problem is not None}


def search_all(
    client: Client, items: Sequence[tuple[str, Path]], faces: FaceOfPicture, concurrency: int, title: str
) -> list[Outcome]:
    """One outcome for each picture, in order."""
    return in_parallel(lambda item: search(client, *item, faces), items, concurrency, title)


def search(client: Client, person: str, picture: Path, faces: FaceOfPicture) -> Outcome:
    """With the default threshold; and, where that leaves open who is most similar, once more without any."""
    image = picture.read_bytes()
    which = "all" if faces == "central" else "largest"
    started = time.perf_counter()
    answer = client.search(image, [COLLECTION], faces=which)
    milliseconds = (time.perf_counter() - started) * 1e3
    matches = matches_of(answer)
    nearest = matches or matches_of(client.search(image, [COLLECTION], faces=which, min_score=0, max_results=1))
    return Outcome(
        person=person,
        best=nearest[0]["person"]["id"] if nearest else None,
        score=nearest[0]["score"] if nearest else 0.0,
        answered=matches[0]["person"]["id"] if matches else None,
        among=any(match["person"]["id"] == person for match in matches),
        min_score=answer["threshold"]["min_score"],
        milliseconds=milliseconds,
    )


def matches_of(answer: Json) -> list[Json]:
    """The matches of the face that counts: of those in the answer the most central; none if no face was found."""
    if not answer["faces"]:
        return []
    matches: list[Json] = answer["faces"][most_central(answer)]["matches"]
    return matches


def most_central(answer: Json) -> int:
    """Position of the face whose box's centre is nearest to the picture's."""
    width, height = answer["image"]["width"], answer["image"]["height"]

    def distance(face: Json) -> float:
        box = face["box"]
        return math.hypot(box["x"] + box["width"] / 2 - width / 2, box["y"] + box["height"] / 2 - height / 2)

    return min(range(len(answer["faces"])), key=lambda position: distance(answer["faces"][position]))


def cropped_to_centre(client: Client, picture: Path) -> bytes:
    """The picture; or, where its largest face is not the central one, the surroundings of the central face."""
    image = picture.read_bytes()
    answer = client.detect(image)
    if not answer["faces"] or most_central(answer) == 0:  # faces come largest first
        return image
    return pictures.crop(image, answer["faces"][most_central(answer)]["box"])


def summarise(found: Sequence[Outcome], others: Sequence[Outcome]) -> dict[str, Share | Spread | float]:
    """The figures of merit."""
    persons = sorted({outcome.person for outcome in found})

    def share(hit: Callable[[Outcome], bool]) -> Share:
        groups = {person: [0, 0] for person in persons}
        for outcome in found:
            groups[outcome.person][0] += hit(outcome)
            groups[outcome.person][1] += 1
        return clustered([(hits, trials) for hits, trials in groups.values()])

    return {
        "rank_1": share(lambda outcome: outcome.best == outcome.person),
        "found": share(lambda outcome: outcome.answered == outcome.person),
        "found_in_first_five": share(lambda outcome: outcome.among),
        "answered_with_someone_else": share(
            lambda outcome: outcome.answered is not None and outcome.answered != outcome.person
        ),
        "fpir": wilson(sum(outcome.answered is not None for outcome in others), len(others)),
        "min_score": float(np.median([outcome.min_score for outcome in (*found, *others)])),
        "search_ms_at_this_concurrency": Spread.of([outcome.milliseconds for outcome in (*found, *others)]),
    }


def figure_of(value: Share | Spread | float) -> Any:
    """JSON-ready."""
    if isinstance(value, Spread):
        return value.as_dict()
    if isinstance(value, Share):
        return {"value": round(value.value, 5), "low": round(value.low, 5), "high": round(value.high, 5)} | {
            "hits": value.hits,
            "trials": value.trials,
            "interval": value.interval,
        }
    return round(value, 5)


def error_curve(
    found: Sequence[Outcome], others: Sequence[Outcome]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Thresholds, FPIR and FNIR at each: a probe counts as found if the right person is the best at that score."""
    right = np.sort([outcome.score if outcome.best == outcome.person else -1.0 for outcome in found])
    wrong = np.sort([outcome.score for outcome in others])
    thresholds = np.linspace(0.5, 1.0, 501)
    fnir = np.searchsorted(right, thresholds, side="left") / len(right)
    fpir = 1.0 - np.searchsorted(wrong, thresholds, side="left") / len(wrong)
    return thresholds, fpir, fnir


def in_parallel(work: Callable[[T], R], items: Sequence[T], concurrency: int, title: str) -> list[R]:
    """Results in order, at most ``concurrency`` at a time."""
    with ThreadPoolExecutor(concurrency) as pool:
        return list(track(pool.map(work, items), description=title, total=len(items)))

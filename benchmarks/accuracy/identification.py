"""Open-set identification through HTTP: share of enrolled people found, share of strangers answered.

1,000 people are enrolled from one image each. Every other image of them is searched (``probes``), and one image each of
people who are not enrolled (``strangers``). No threshold is sent: the service's own default is measured.

Many images of LFW show bystanders. The name belongs to the face in the middle, so that face counts (``--faces
central``): searches ask for all faces and take the one nearest to the image's centre; an image whose largest face is
another one is cropped to the central face before it is enrolled, as a person would do it. With ``--faces largest`` the
service's own choice is measured instead; a bystander nearer to the camera then counts as a failure of the recognition.

    rank-1      share of probes whose most similar enrolled person is the right one, at any score
    found       share of probes that are answered with the right person as the best match (1 - FNIR)
    FPIR        share of strangers that get any answer
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import plots
from benchmarks.common.dataset import add_images_option, describe, read_people, split
from benchmarks.common.enrolment import COLLECTION, FaceOfPicture, enrol, in_parallel, most_central
from benchmarks.common.machine import overrides
from benchmarks.common.report import Report
from benchmarks.common.service import running_service
from benchmarks.common.statistics import Floats, Share, Spread, clustered, wilson
from serve_app.client import Client, Json

TARGETS = {"rank_1": ">= 0.985", "found": ">= 0.95", "fpir": "<= 0.02"}


@dataclass(frozen=True)
class Outcome:
    """The result of searching one image.

    Attributes:
        person: whose image it is.
        best: id of the most similar enrolled person, None without a face or without any person.
        score: of that person, 0 without one.
        answered: id of the best match at the default threshold; None without a match.
        among: whether the right person is any match at the default threshold.
        min_score: the default threshold that the service used.
        milliseconds: of the search with defaults, measured by the client.
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
    add_images_option(parser)
    parser.add_argument("--people", type=int, default=1000, help="people to enrol")
    parser.add_argument("--limit", type=int, help="at most this many probes and strangers each, for a quick run")
    parser.add_argument("--faces", choices=("central", "largest"), default="central", help="the face that is named")
    parser.add_argument("--concurrency", type=int, default=4, help="requests at the same time")
    parser.add_argument("--seed", type=int, default=1, help="of the draw of enrolled people")
    parser.add_argument("--url", help="a running service, whose collection 'benchmark' is replaced")
    parser.add_argument("--key", default="", help="its admin key")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, options.seed, options.limit)
    settings = {
        "images": describe(options.images),
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
    for name, figure in figures.items():
        print(f"{name:>30}  {figure.as_dict() if isinstance(figure, Spread) else figure}")
    right = [outcome.score for outcome in found if outcome.best == outcome.person]
    used = default_threshold([*found, *others])
    plots.identification(
        report.plot_path(), right, [outcome.score for outcome in others], used, error_curve(found, others)
    )
    return report.write(
        {
            "service": {"topology": info["topology"], "models": info["models"]},
            "enrolled": {"people": len(chosen.enrolled) - len(refused), "refused": refused},
            "targets": TARGETS,
            **{
                name: round(value, 5) if isinstance(value, float) else value.as_dict()
                for name, value in figures.items()
            },
        }
    )


@contextlib.contextmanager
def service(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Address and key of the service that was named, or of a new one, which is stopped at the end."""
    if options.url:
        yield options.url, options.key
        return
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as folder:
        print("Starting a service ...")
        with running_service(Path(folder) / "data") as own:
            yield own.url, own.key


def search_all(
    client: Client, items: Sequence[tuple[str, Path]], faces: FaceOfPicture, concurrency: int, title: str
) -> list[Outcome]:
    """One outcome for each image, in order."""
    return in_parallel(lambda item: search(client, *item, faces), items, concurrency, title)


def search(client: Client, person: str, picture: Path, faces: FaceOfPicture) -> Outcome:
    """Search with the default threshold; without a match once more with none, for the most similar person."""
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
    """The matches of the most central face in the answer; none if no face was found."""
    if not answer["faces"]:
        return []
    matches: list[Json] = answer["faces"][most_central(answer)]["matches"]
    return matches


def summarise(found: Sequence[Outcome], others: Sequence[Outcome]) -> dict[str, Share | Spread | float]:
    """The figures of merit of probes (``found``) and strangers (``others``)."""
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
        "min_score": default_threshold([*found, *others]),
        "search_ms_at_this_concurrency": Spread.of([outcome.milliseconds for outcome in (*found, *others)]),
    }


def default_threshold(outcomes: Sequence[Outcome]) -> float:
    """The median of the thresholds that the service used."""
    return float(np.median([outcome.min_score for outcome in outcomes]))


def error_curve(found: Sequence[Outcome], others: Sequence[Outcome]) -> tuple[Floats, Floats, Floats]:
    """Thresholds, FPIR and FNIR at each: a probe counts as found if the right person is the best at that score."""
    right = np.sort([outcome.score if outcome.best == outcome.person else -1.0 for outcome in found])
    wrong = np.sort([outcome.score for outcome in others])
    thresholds = np.linspace(0.5, 1.0, 501)
    fnir = np.searchsorted(right, thresholds, side="left") / len(right)
    fpir = 1.0 - np.searchsorted(wrong, thresholds, side="left") / len(wrong)
    return thresholds, fpir, fnir

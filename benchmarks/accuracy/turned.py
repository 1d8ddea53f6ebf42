"""Faces on pictures that are turned without saying so: found, matched, strangers answered; and what that costs upright.

People are enrolled with one image each, upright. Their second images, and one image each of other people, are searched
in four directions, and tilted by 30, 45 and 60 degrees. The strangers are searched again in galleries that were
enrolled in their own direction, since templates of misread faces resemble each other. The steps are the service's own,
in one process; each image's central face counts, as LFW's labels do; the threshold is a search's default.

The cost is the time of detection and embedding on upright 640x480 images, with the directions compared and without,
side by side.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common.dataset import DataMissing, add_images_option, describe, read_people, thin
from benchmarks.common.images import camera_picture, decode, encode
from benchmarks.common.models import open_stage, shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import Spread, quartiles, wilson
from serve_app.domain import DetectOptions, Pixels, ThresholdRequest, Vectors
from serve_app.score import resolve_threshold
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.face_finder import FaceFinder, FoundFace
from serve_app.vision.face_reader import FaceReader, ReadFace

DIRECTIONS = (0, 90, 180, 270)
TILTS = (30, 45, 60)

Faces = Sequence[ReadFace | None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--people", type=int, default=150, help="enrolled people, searched by a second image each")
    parser.add_argument("--strangers", type=int, default=300, help="people who are not enrolled")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of the measurement of the cost")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    people = read_people(options.images)
    enrolled = thin([name for name in people if len(people[name]) > 1], options.people)
    strangers = thin([name for name in people if name not in set(enrolled)], options.strangers)
    if not enrolled or not strangers:
        raise DataMissing("People with two images, and further people, are needed.")
    settings = shipped_settings()
    report = Report(
        "turned",
        {
            "images": describe(options.images),
            "people": len(enrolled),
            "strangers": len(strangers),
            "rounds": options.rounds,
            "detector": f"{settings.detector.model}, long side {settings.detector.input_side}",
            "embedder": settings.embedder.model,
        },
        reference=options.reference,
    )
    reader = FaceReader(settings)
    probes = [people[name][1] for name in enrolled]
    searched = {
        angle: (read(reader, probes, angle), read(reader, [people[name][0] for name in strangers], angle))
        for angle in (*DIRECTIONS, *TILTS)
    }
    galleries = {angle: templates(read(reader, [people[n][0] for n in enrolled], angle)) for angle in DIRECTIONS}
    min_score = resolve_threshold(ThresholdRequest(), len(enrolled)).min_score
    least = reader.entry.calibration().cosine(min_score)
    figures: dict[str, Any] = {
        "min_score": min_score,
        "angles": [figures_of(angle, searched, galleries, least) for angle in searched],
        "cost": cost(settings, probes, options.rounds),
    }
    return report.write(figures)


def turned_picture(pixels: Pixels, angle: int) -> Pixels:
    """The picture turned clockwise; between right angles its borders are continued."""
    if angle in DIRECTIONS:
        return np.ascontiguousarray(np.rot90(pixels, -angle // 90))
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def read(reader: FaceReader, pictures: Sequence[Path], angle: int) -> Faces:
    """The central face of each image, turned by an angle; None where none is found."""
    return [reader.central(encode(turned_picture(decode(path.read_bytes()), angle))) for path in pictures]


def templates(faces: Faces) -> Vectors:
    """One row per face; zeros for those that were not found, which resemble nobody."""
    size = next(len(face.template) for face in faces if face)
    return np.stack([face.template if face else np.zeros(size, np.float32) for face in faces])


def matched(faces: Faces, gallery: Vectors, least: float) -> list[bool]:
    """Whether each person's own row of the gallery is the most similar one, and similar enough."""
    cosines = templates(faces) @ gallery.T
    return [bool(row.argmax() == person and row[person] >= least) for person, row in enumerate(cosines)]


def answered(faces: Faces, gallery: Vectors, least: float) -> dict[str, Any]:
    """The share of faces that resemble anybody enough."""
    return wilson(int(((templates(faces) @ gallery.T).max(axis=1) >= least).sum()), len(faces)).as_dict()


def figures_of(
    angle: int, searched: Mapping[int, tuple[Faces, Faces]], galleries: Mapping[int, Vectors], least: float
) -> dict[str, Any]:
    """The figures of one angle; ``searched`` has the probes' and the strangers' faces of each."""
    probes, strangers = searched[angle]
    upright, now = matched(searched[0][0], galleries[0], least), matched(probes, galleries[0], least)
    as_upright = sum(a and b for a, b in zip(upright, now, strict=True))
    found = [face.face for face in (*probes, *strangers) if face]
    directions = [face.turned for face in found]
    figures = {
        "angle": angle,
        "found": wilson(len(found), len(probes) + len(strangers)).as_dict(),
        "read_as_turned": {str(turned): directions.count(turned) for turned in DIRECTIONS},
        "matched": wilson(sum(now), len(now)).as_dict(),
        "matched_of_those_matched_upright": wilson(as_upright, sum(upright)).as_dict(),
        "strangers_answered": answered(strangers, galleries[0], least),
        "quality": Spread.of([face.quality.value for face in found]).as_dict(),
    }
    if angle in galleries:
        figures["strangers_answered_by_a_gallery_of_this_direction"] = answered(strangers, galleries[angle], least)
    print(f"{angle:4} degrees ", {name: value for name, value in figures.items() if name != "angle"}, flush=True)
    return figures


class UprightOnly(FaceFinder):
    """The finder without comparison of directions."""

    def _settled(
        self, pixels: Pixels, faces: list[FoundFace], most: int | None, *, every: bool
    ) -> tuple[list[FoundFace], int]:
        largest = sorted(faces, key=lambda face: -face.area)[:most]
        return [self.read_again(pixels, face) for face in largest], len(faces)


def cost(settings: Settings, pictures: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Milliseconds of detection and embedding per upright 640x480 image, with and without comparison of directions."""
    session = open_stage(settings, "detector", 1)
    embedder = FaceEmbedder(open_stage(settings, "embedder", 1), Catalogue.load().get(settings.embedder.model))
    analysers = {name: FaceAnalyser(session, settings.detector, settings.limits) for name in ("with", "without")}
    analysers["without"].finder = UprightOnly(analysers["without"].finder.detector, settings.detector.nms_iou)
    images = [camera_picture(path.read_bytes()) for path in pictures]

    def once(name: str, image: bytes) -> float:
        start = time.perf_counter()
        faces = analysers[name].analyse(image, DetectOptions(max_faces=1)).faces
        if faces:
            embedder.embed(np.stack([face.crop for face in faces]))
        return (time.perf_counter() - start) * 1e3

    means: dict[str, list[float]] = {name: [] for name in analysers}
    for _ in range(rounds):
        # The two take turns on each image, so that other work of the machine affects both.
        times: dict[str, list[float]] = {name: [] for name in analysers}
        for position, image in enumerate(images):
            for name in sorted(analysers, reverse=bool(position % 2)):
                times[name].append(once(name, image))
        for name, values in times.items():
            means[name].append(float(np.mean(values)))
    ratios = [a / b for a, b in zip(means["with"], means["without"], strict=True)]
    figures = {
        "images": len(images),
        "mean_ms": {name: quartiles(values) for name, values in means.items()},
        "ratio": quartiles(ratios),
    }
    print("upright, cost ", figures, flush=True)
    return figures

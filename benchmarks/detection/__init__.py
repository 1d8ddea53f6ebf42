"""Which faces are found: group photographs by the faces' width, and pictures without a face.

Group photographs are composed (``groups.py``): heads cut from the pictures of a data set, scaled until the face has the
wanted width, on a plain canvas. Faces are looked for as the service does when a caller wants all of them, and once more
as it does when only the largest counts. A face is found if a box overlaps its own with an IoU of 0.5.

Pictures without a face (``backgrounds.py``): parts of the same photographs away from every face, scikit-image's
pictures, and mosaics of them in the sizes of the group photographs. Whatever is found on them is a false face.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dataset import DEFAULT_IMAGES, read_people
from benchmarks.detection.backgrounds import face_free
from benchmarks.detection.groups import IOU, Heads, compose, overlap
from benchmarks.inprocess import shipped_settings
from benchmarks.report import Report
from benchmarks.statistics import Spread, wilson
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session
from serve_app.vision.yunet import YuNet

WIDTHS = (16, 20, 24, 32, 48, 96)
SIZES = ((640, 480), (1280, 960), (1920, 1440), (4000, 3000))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a sub-folder of pictures for each person")
    parser.add_argument("--faces", type=int, default=300, help="for each width and size of picture")
    parser.add_argument("--free", type=int, default=500, help="pictures without a face")
    parser.add_argument("--seed", type=int, default=1, help="draws faces and places")


def run(options: argparse.Namespace) -> Path:
    """Measure, print, write; the JSON file's path."""
    people = read_people(options.images)
    settings = shipped_settings()
    report = Report(
        "detection",
        {
            "images": str(options.images.name if options.images != DEFAULT_IMAGES else "LFW (shared/data/lfw/images)"),
            "faces": options.faces,
            "free": options.free,
            "seed": options.seed,
            "detector": f"{settings.detector.model}, long side {settings.detector.input_side}",
            "min_score": settings.detector.min_score,
        },
        reference=options.reference,
    )
    entry = Catalogue.load().get(settings.detector.model)
    session = open_session(ModelFiles(settings.model_dir, settings.model_cache_dir), entry, settings.detector.inference)
    detector = YuNet(session, settings.detector)
    # What is cut away from faces must be away from doubtful ones too.
    doubtful = YuNet(session, settings.detector.model_copy(update={"min_score": 0.2}))
    random = np.random.default_rng(options.seed)
    pictures = [path for paths in people.values() for path in paths]
    heads = Heads.cut(detector, [pictures[k] for k in random.permutation(len(pictures))[: 2 * options.faces]])
    figures: dict[str, Any] = {"groups": groups(detector, heads, options.faces, random)}
    figures["face_free"] = false_faces(detector, doubtful, pictures, options.free, random)
    return report.write(figures)


def groups(detector: YuNet, heads: Heads, faces: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Recall for each size of picture and width of face."""
    found = []
    for size in SIZES:
        for width in WIDTHS:
            hits = {True: 0, False: 0}
            times: list[float] = []
            trials = 0
            while trials < faces:
                picture, boxes = compose(heads, size, width, faces - trials, random)
                trials += len(boxes)
                for every in hits:
                    started = time.perf_counter()
                    seen = detector.detect(picture, every=every)
                    times += [(time.perf_counter() - started) * 1e3] if every else []
                    hits[every] += int((overlap(boxes, seen.boxes) >= IOU).any(axis=1).sum()) if len(seen) else 0
            row = {
                "picture": f"{size[0]}x{size[1]}",
                "face_width": width,
                "recall": asdict(wilson(hits[True], trials)),
                "recall_of_the_first_look": hits[False] / trials,
                "median_ms": Spread.of(times).median,
            }
            print(f"{row['picture']:>12}  {width:3} px  {wilson(hits[True], trials)}  first {hits[False] / trials:.3f}")
            found.append(row)
    return found


def false_faces(
    detector: YuNet, doubtful: YuNet, pictures: list[Path], count: int, random: np.random.Generator
) -> dict[str, Any]:
    """What is found on pictures without a face."""
    found: dict[str, Any] = {"pictures": {}, "false": []}
    for kind, name, picture in face_free(doubtful, pictures, count, SIZES, random):
        found["pictures"][kind] = found["pictures"].get(kind, 0) + 1
        for box, score in zip(*_found(detector, picture), strict=True):
            found["false"].append({"kind": kind, "picture": name, "score": round(score, 3), "box": box})
            print(f"{'false face':>12}  {kind} {name}  score {score:.3f}  {box}")
    print(f"{'face-free':>12}  {found['pictures']}  {len(found['false'])} false faces")
    return found


def _found(detector: YuNet, picture: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[list[list[int]], list[float]]:
    faces = detector.detect(picture, every=True)
    return [[round(float(value)) for value in box] for box in faces.boxes], [float(score) for score in faces.scores]

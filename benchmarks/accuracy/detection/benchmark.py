"""Recall of the face detector by face width on group images, and its false faces on images without a face.

Group images are composed (``groups.py``): heads cut from the images of a data set, scaled until the face has the wanted
width, on a plain canvas. Faces are detected as the service does when a caller wants all of them. A face is found if a
detected box overlaps its own with an IoU of 0.5.

Images without a face (``backgrounds.py``): parts of the same photographs away from every face, scikit-image's images,
and mosaics of the parts in the sizes of the group images. Each face found on them is a false one.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.detection.backgrounds import face_free
from benchmarks.accuracy.detection.groups import IOU, Heads, compose, overlap
from benchmarks.common.dataset import add_images_option, describe, read_people
from benchmarks.common.models import open_stage, shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import Spread, wilson
from serve_app.vision.face_finder import FaceFinder
from serve_app.vision.yunet import YuNet

WIDTHS = (16, 20, 24, 32, 48, 96)
SIZES = ((640, 480), (1280, 960), (1920, 1440), (4000, 3000))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--faces", type=int, default=300, help="faces for each width and size of image")
    parser.add_argument("--free", type=int, default=500, help="images without a face")
    parser.add_argument("--seed", type=int, default=1, help="of the draw of faces and positions")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    people = read_people(options.images)
    settings = shipped_settings()
    report = Report(
        "detection",
        {
            "images": describe(options.images),
            "faces": options.faces,
            "free": options.free,
            "seed": options.seed,
            "detector": f"{settings.detector.model}, long side {settings.detector.input_side}",
            "min_score": settings.detector.min_score,
        },
        reference=options.reference,
    )
    session = open_stage(settings, "detector")
    detector = YuNet(session, settings.detector)
    finder = FaceFinder(detector, settings.detector.nms_iou)
    # Parts without a face must be away from doubtful faces too.
    doubtful = YuNet(session, settings.detector.model_copy(update={"min_score": 0.2}))
    random = np.random.default_rng(options.seed)
    pictures = [path for paths in people.values() for path in paths]
    heads = Heads.cut(detector, [pictures[k] for k in random.permutation(len(pictures))[: 2 * options.faces]])
    figures: dict[str, Any] = {"groups": groups(finder, heads, options.faces, random)}
    figures["face_free"] = false_faces(finder, doubtful, pictures, options.free, random)
    return report.write(figures)


def groups(finder: FaceFinder, heads: Heads, faces: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Recall for each size of image and width of face."""
    found = []
    for size in SIZES:
        for width in WIDTHS:
            hits = 0
            times: list[float] = []
            trials = 0
            while trials < faces:
                picture, boxes = compose(heads, size, width, faces - trials, random)
                trials += len(boxes)
                started = time.perf_counter()
                seen, _ = finder.every(picture)
                times.append((time.perf_counter() - started) * 1e3)
                found_boxes = np.array([face.box for face in seen], np.float32).reshape(-1, 4)
                hits += int((overlap(boxes, found_boxes) >= IOU).any(axis=1).sum())
            row = {
                "picture": f"{size[0]}x{size[1]}",
                "face_width": width,
                "recall": asdict(wilson(hits, trials)),
                "median_ms": Spread.of(times).median,
            }
            print(f"{row['picture']:>12}  {width:3} px  {wilson(hits, trials)}")
            found.append(row)
    return found


def false_faces(
    finder: FaceFinder, doubtful: YuNet, pictures: list[Path], count: int, random: np.random.Generator
) -> dict[str, Any]:
    """Number of images without a face by kind, and the faces found on them."""
    found: dict[str, Any] = {"pictures": {}, "false": []}
    for kind, name, picture in face_free(doubtful, pictures, count, SIZES, random):
        found["pictures"][kind] = found["pictures"].get(kind, 0) + 1
        faces, _ = finder.every(picture)
        for face in faces:
            box = face.box.round().astype(int).tolist()
            false = {"kind": kind, "picture": name, "score": round(face.score, 3), "turned": face.turned, "box": box}
            found["false"].append(false)
            print(f"{'false face':>12}  {false}")
    print(f"{'face-free':>12}  {found['pictures']}  {len(found['false'])} false faces")
    return found

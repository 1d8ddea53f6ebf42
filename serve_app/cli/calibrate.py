"""``facegraph models calibrate``: measure a model's anchors on images and write them into its entry."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.options import Config, settings_of
from serve_app.cli.output import fail, note, stderr, stdout, table

if TYPE_CHECKING:
    from serve_app.settings import Settings
    from serve_app.vision.catalogue import Anchors, ModelEntry

Model = Annotated[str, typer.Argument(help="The embedder's id.")]
Images = Annotated[
    Path | None,
    typer.Option(help="Folder of images to measure on: one sub-folder for each person, hundreds of people."),
]
FromReport = Annotated[
    Path | None, typer.Option("--report", help="Take the anchors of a report of 'python -m benchmarks accuracy'.")
]
Write = Annotated[bool, typer.Option("--write", help="Write the anchors into the model's entry.")]


def calibrate(
    model: Model, images: Images = None, report: FromReport = None, write: Write = False, config: Config = None
) -> None:
    """Measure a model's anchors (cosines at known false-match rates), or take them from a report.

    Services read the entry when they start.
    """
    from serve_app.vision.calibration_file import read_report, write_anchors
    from serve_app.vision.catalogue import Catalogue

    entry = Catalogue.load().get(model)
    if entry.task != "embedder":
        raise fail(f"{model!r} is a {entry.task}: only embedders have anchors.")
    if (images is None) == (report is None):
        raise fail("Give either --images or --report.")
    found = read_report(report, model) if report else _measured(settings_of(config), entry, Path(images or ""))
    _show(entry.anchors, found)
    if write:
        path = _file_of(model)
        write_anchors(path, found)
        note(f"Written to {path}.")
    else:
        note("Nothing is changed; --write writes the anchors into the model's entry.")


def _measured(settings: Settings, entry: ModelEntry, folder: Path) -> Anchors:
    import numpy as np
    from rich.progress import track

    from serve_app.bulk.entries import BadSource
    from serve_app.bulk.files import Files
    from serve_app.bulk.sources import Source
    from serve_app.bulk.worklist import WorkList
    from serve_app.cli.enrol_report import show_left_out
    from serve_app.vision.catalogue import Anchors
    from serve_app.vision.face_reader import FaceReader
    from serve_app.vision.fmr_statistics import Templates, measure_anchors

    if not folder.is_dir():
        raise fail(f"There is no folder {folder}.")
    with closing(WorkList()) as work:
        try:
            Source(str(folder), Files()).load(work)
        except BadSource as error:
            raise fail(str(error)) from None
        show_left_out(work)
        files = [(number, Path(file.location)) for number, person in enumerate(work) for file in person.files]
    reader = FaceReader(settings, entry)
    found = []
    for number, file in track(files, description="Embedding", console=stderr):
        face = reader.central(file.read_bytes())
        if face is not None:
            found.append((number, face.template))
    if not found:
        raise fail(f"No face was found in {folder}; expected a sub-folder of images for each person.")
    numbers = np.unique([number for number, _ in found], return_inverse=True)[1]
    try:
        measured = measure_anchors(Templates(np.stack([template for _, template in found]), numbers))
    except ValueError as error:
        raise fail(f"There are too few images: {error}.") from None
    return Anchors(
        cosines=measured.cosines, extrapolated=measured.extrapolated, data=measured.describe(folder.resolve().name)
    )


def _show(present: Anchors | None, found: Anchors) -> None:
    import math

    from serve_app.score import fmr_to_score

    in_entry = present.cosines if present is not None else {}
    shown = table("", "FMR", "score", "cosine", "in the entry", "", right=("score", "cosine", "in the entry"))
    for fmr in sorted(found.cosines, reverse=True):
        before = next((f"{cosine:.4f}" for rate, cosine in in_entry.items() if math.isclose(rate, fmr)), "")
        mark = "extrapolated" if any(math.isclose(rate, fmr) for rate in found.extrapolated) else ""
        shown.add_row(f"{fmr:.0e}", f"{fmr_to_score(fmr):.2f}", f"{found.cosines[fmr]:.4f}", before, mark)
    stdout.print(shown)
    note(found.data)


def _file_of(model: str) -> Path:
    from serve_app.resources import resource_dir
    from serve_app.vision.catalogue import read_entry

    return next(path for path in sorted(resource_dir("models").glob("*.toml")) if read_entry(path).id == model)

"""The model catalogue: one entry per model, read from ``models/*.toml``.

To add a model (for example any embedder of aligned faces), add a TOML entry with its card beside it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from serve_app.errors import ConfigurationError
from serve_app.resources import resource_dir
from serve_app.score import Calibration

Task = Literal["detector", "embedder", "liveness"]
Line = Annotated[str, Field(max_length=1000)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PythonSource(_Entry):
    """A file inside an installed Python package; the package is never imported."""

    kind: Literal["python"]
    package: Line
    path: Line


class NpmSource(_Entry):
    """A member of a package's tar file, fetched with ``npm pack``."""

    kind: Literal["npm"]
    package: Line
    version: Line
    path: Line


class UrlSource(_Entry):
    """A public HTTPS URL."""

    kind: Literal["url"]
    url: Line = Field(pattern="^https://")


Source = Annotated[PythonSource | NpmSource | UrlSource, Field(discriminator="kind")]


class InputSpec(_Entry):
    """Input of the graph: float32 NCHW, ``(pixel - mean) * scale`` in the channel order ``channels``.

    ``mean`` is in the same order. A detector takes any width and height that are multiples of 32.
    """

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    channels: Literal["BGR", "RGB"]
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = Field(1.0, gt=0)


Point = tuple[float, float]


class AlignmentSpec(_Entry):
    """Where an embedder expects right eye, left eye, nose, right and left mouth corner: (x, y) in pixels of its input.

    Right and left are the person's.
    """

    landmarks: tuple[Point, Point, Point, Point, Point]

    @field_validator("landmarks")
    @classmethod
    def _spread(cls, landmarks: tuple[Point, ...]) -> tuple[Point, ...]:
        if len(set(landmarks)) < len(landmarks):
            raise ValueError("expected five different points")
        return landmarks


class LivenessSpec(_Entry):
    """Parameters of a liveness model."""

    crop_scale: float = Field(ge=1)  # side of the crop relative to the face's box
    live_index: int = Field(ge=0)  # index of the class "live" in the output


class Anchors(_Entry):
    """Cosines at known false-match rates.

    Attributes:
        cosines: false-match rate -> cosine.
        data: description of the data that they were measured on.
        extrapolated: the rates that were extrapolated, not measured.
    """

    cosines: Annotated[Mapping[float, float], Field(max_length=100)]
    data: Line
    extrapolated: Annotated[tuple[float, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Anchors:
        Calibration(self.cosines)
        unknown = [fmr for fmr in self.extrapolated if not any(math.isclose(fmr, known) for known in self.cosines)]
        if unknown:
            raise ValueError(f"extrapolated lists {unknown}, but the anchors are {sorted(self.cosines)}")
        return self


class ModelEntry(_Entry):
    """One model: a file and the recipe for using it.

    ``dimension``, ``alignment``, ``anchors`` and ``mirrored`` belong to embedders, ``liveness`` to liveness models.
    An embedder without anchors can only be calibrated.

    Attributes:
        mirrored: the template is the normalised mean of the crop's and the mirrored crop's templates. Templates of two
            entries are never compared, so another recipe for the same file is another entry.
    """

    id: str = Field(pattern="^[a-z0-9][a-z0-9.-]{0,63}$")
    task: Task
    title: Line
    file: Line
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=1)
    licence: Line
    sources: Annotated[tuple[Source, ...], Field(max_length=20)] = ()
    input: InputSpec
    dimension: int | None = Field(None, ge=1)
    alignment: AlignmentSpec | None = None
    mirrored: bool = False
    anchors: Anchors | None = None
    liveness: LivenessSpec | None = None

    @field_validator("file")
    @classmethod
    def _plain_name(cls, file: str) -> str:
        if PurePosixPath(file).name != file:
            raise ValueError(f"expected a file name without a folder, got {file!r}")
        return file

    @model_validator(mode="after")
    def _complete(self) -> ModelEntry:
        if self.task == "embedder" and None in (self.dimension, self.alignment):
            raise ValueError("an embedder needs dimension and alignment")
        if self.task == "liveness" and self.liveness is None:
            raise ValueError("a liveness model needs the table liveness")
        return self

    def calibration(self) -> Calibration:
        """The conversion from cosine to score. Raises ConfigurationError unless this is a calibrated embedder."""
        if self.task == "embedder" and self.anchors is None:
            raise ConfigurationError(
                f"The embedder {self.id!r} has no anchors yet, so its cosines cannot be converted to scores: measure "
                f"them with 'facegraph models calibrate {self.id} --images FOLDER --write'."
            )
        if self.anchors is None:
            raise ConfigurationError(f"The model {self.id!r} has no anchors: it is a {self.task}, not an embedder.")
        return Calibration(self.anchors.cosines)


class Catalogue:
    """All known models, by id."""

    def __init__(self, entries: Mapping[str, ModelEntry]) -> None:
        self._entries = dict(entries)

    @classmethod
    def load(cls, directory: Path | None = None) -> Catalogue:
        """Read every ``*.toml`` of a folder; None takes the shipped ``models/``.

        Raises ConfigurationError if an entry is malformed, or two entries have the same id; the message names the file.
        """
        entries: dict[str, ModelEntry] = {}
        for path in sorted((directory or resource_dir("models")).glob("*.toml")):
            entry = read_entry(path)
            if entry.id in entries:
                raise ConfigurationError(f"{path}: the model id {entry.id!r} is taken by another entry.")
            entries[entry.id] = entry
        return cls(entries)

    def get(self, model_id: str) -> ModelEntry:
        """The entry with this id. Raises ConfigurationError if there is none; the message lists the known ids."""
        try:
            return self._entries[model_id]
        except KeyError:
            known = ", ".join(sorted(self._entries)) or "none"
            raise ConfigurationError(f"No model {model_id!r} in the catalogue; it has: {known}.") from None

    def calibrations(self) -> dict[str, Calibration]:
        """The calibrations of all calibrated embedders, by model id."""
        return {entry.id: entry.calibration() for entry in self if entry.anchors is not None}

    def __iter__(self) -> Iterator[ModelEntry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


def read_entry(path: Path) -> ModelEntry:
    """Read the catalogue entry of one TOML file. Raises ConfigurationError if the file is malformed."""
    try:
        return ModelEntry(**tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(f"{path} is not a valid model entry:\n  " + "\n  ".join(lines)) from None
    except (ValueError, RecursionError) as error:  # of the parser, or of Python: too many digits, too deep nesting
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error

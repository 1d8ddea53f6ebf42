# /// script
# requires-python = ">=3.11"
# dependencies = ["scikit-image>=0.26", "matplotlib>=3.11", "numpy>=2.2", "pillow>=12"]
# ///
"""Photographs of two people from packages, for a first try without photographs of your own.

    .venv/bin/uv run --script examples/photos.py [FOLDER]      by default into data/photos, which git ignores

It writes me1.jpg, me2.jpg, grace.jpg and group.jpg. me1.jpg is NASA's portrait of the astronaut Eileen Collins (public
domain), as the package scikit-image ships it, and grace.jpg the US Navy's of Grace Hopper (public domain), as
matplotlib does. me2.jpg and group.jpg are made from them: mirrored, turned, smaller, darker, compressed harder. That
demonstrates the service, but not how well it recognises people: scores of such copies are higher than those of
photographs of different days.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageEnhance, ImageOps
from skimage.data import astronaut

HEIGHT = 400
FOLDER = Path(__file__).resolve().parent.parent / "data" / "photos"


def main(folder: Path) -> None:
    """Write the four files and print their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    eileen = Image.fromarray(np.asarray(astronaut()))
    grace = Image.open(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    group = Image.new("RGB", (2 * HEIGHT, HEIGHT))
    group.paste(changed(eileen, 7), (0, 0))
    group.paste(changed(grace, -6), (HEIGHT, 0))
    pictures = {"me1": (eileen, 92), "me2": (changed(eileen, 7), 70), "grace": (grace, 92), "group": (group, 75)}
    for name, (picture, quality) in pictures.items():
        path = folder.resolve() / f"{name}.jpg"
        picture.save(path, quality=quality)
        print(f"{path}  {path.stat().st_size} bytes")


def changed(picture: Image.Image, degrees: float) -> Image.Image:
    """A square image that differs from this one as another photograph would."""
    turned = ImageOps.mirror(picture).rotate(degrees, resample=Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))
    return ImageEnhance.Brightness(ImageOps.fit(turned, (HEIGHT, HEIGHT))).enhance(0.75)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)

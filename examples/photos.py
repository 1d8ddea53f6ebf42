# /// script
# requires-python = ">=3.11"
# dependencies = ["scikit-image>=0.26", "numpy>=2.2", "pillow>=12"]
# ///
"""Write two photographs of one person, for a first try without photographs of your own.

    .venv/bin/uv run --script examples/photos.py      writes me1.jpg and me2.jpg into the current folder

me1.jpg is NASA's portrait of the astronaut Eileen Collins (public domain) as the package scikit-image ships it. me2.jpg
is made from the same picture: mirrored, turned, smaller, darker, compressed harder. That shows the service at work, not
how well it recognises people: for that, take two photographs from different days.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from skimage.data import astronaut


def main() -> None:
    """Write both files and say so."""
    first = Image.fromarray(np.asarray(astronaut()))
    first.save("me1.jpg", quality=92)
    second = ImageOps.mirror(first).rotate(7, resample=Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))
    second = ImageEnhance.Brightness(second.resize((400, 400))).enhance(0.75)
    second.save("me2.jpg", quality=70)
    for name in ("me1.jpg", "me2.jpg"):
        print(f"{Path(name).resolve()}  {Path(name).stat().st_size} bytes")


if __name__ == "__main__":
    main()

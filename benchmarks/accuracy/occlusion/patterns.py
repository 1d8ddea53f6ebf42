"""Drawn occlusions: masks, sunglasses and hand-like patches over the face of an image.

Each is drawn on a layer in the coordinates of the aligned face, where eyes, nose and mouth have fixed positions
(:data:`serve_app.vision.align.REFERENCE`), and blended over the face in the image. The image must then be detected
again: landmarks of a covered face are less exact, which changes everything measured on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from serve_app.domain import Pixels
from serve_app.vision.align import REFERENCE, similarity

SIDE = 336
"""Pixels of a layer: the aligned face of 112 with a margin of half of that on each side, enlarged 1.5 times."""

SCALE, MARGIN = 1.5, 56.0

MASK_COLOURS = ((205, 175, 120), (235, 235, 235), (30, 30, 30), (140, 90, 60), (90, 120, 160), (180, 190, 120))
"""BGR: surgical blue, white, black, and some colours of cloth."""

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Colour (SIDE, SIDE, 3), 0 to 255, and opacity (SIDE, SIDE), 0 to 1."""


def _points(places: Sequence[tuple[float, float]], random: np.random.Generator, jitter: float) -> NDArray[np.int32]:
    moved = np.asarray(places, np.float64) + random.normal(0, jitter, (len(places), 2))
    return np.asarray(np.rint((moved + MARGIN) * SCALE), np.int32)


def _shaded(colour: ArrayLike, random: np.random.Generator) -> NDArray[np.float32]:
    """A surface with soft light and a little grain."""
    coarse = cv2.resize(random.uniform(0.7, 1.2, (4, 4)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 4, (SIDE, SIDE, 1))
    return np.asarray(np.clip(np.asarray(colour) * coarse[..., None] + grain, 0, 255), np.float32)


def mask(face: Pixels, random: np.random.Generator) -> Layer:
    """A mask over nose, mouth and chin; its upper edge is on the bridge of the nose, sometimes below the tip."""
    top = random.uniform(58, 68) if random.random() < 0.85 else random.uniform(76, 80)
    outline = [(16, top + 2), (36, top + 3), (56, top), (76, top + 3), (96, top + 2), (93, 92), (78, 112), (56, 122)]
    outline += [(34, 112), (19, 92)]
    cover = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillPoly(cover, [_points(outline, random, 1.5)], 1.0, cv2.LINE_AA)
    colour = np.asarray(MASK_COLOURS[random.integers(len(MASK_COLOURS))]) + random.normal(0, 15, 3)
    surface = _shaded(colour, random)
    for row in np.linspace(top + 12, 108, 4):  # folds
        place = round((row + MARGIN) * SCALE)
        surface[place : place + 2] *= 0.85
    return surface, cover


def sunglasses(face: Pixels, random: np.random.Generator) -> Layer:
    """Dark lenses over both eyes, with bridge and temples."""
    cover = np.zeros((SIDE, SIDE), np.float32)
    width, height = random.uniform(13, 18), random.uniform(9, 14)
    for x, y in REFERENCE[:2]:
        centre = _points([(x, y + 2)], random, 0.5)[0]
        axes = (round(width * SCALE), round(height * SCALE))
        cv2.ellipse(cover, centre.tolist(), axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    bar = _points([(38, 48), (74, 48)], random, 0.5)
    cv2.line(cover, bar[0].tolist(), bar[1].tolist(), 1.0, round(3 * SCALE), cv2.LINE_AA)
    for inner, outer in (((24, 50), (4, 48)), ((88, 50), (108, 48))):
        ends = _points([inner, outer], random, 0.5)
        cv2.line(cover, ends[0].tolist(), ends[1].tolist(), 1.0, round(2.5 * SCALE), cv2.LINE_AA)
    surface = _shaded(random.uniform(5, 60) * np.ones(3) + random.normal(0, 6, 3), random)
    return surface, cover * np.float32(random.uniform(0.85, 1.0))


def hand(face: Pixels, random: np.random.Generator) -> Layer:
    """Fingers and a palm in the colour of the face's skin, from below or from a side."""
    target = np.array([(56, 86), (56, 74), (38, 54), (74, 54), (45, 76), (67, 76)][random.integers(6)], np.float64)
    angle = random.uniform(0.1, 0.9) * np.pi  # direction of the hand: 90 degrees is below
    towards = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-towards[1], towards[0]])
    cover = np.zeros((SIDE, SIDE), np.float32)
    for index in range(random.integers(3, 5)):
        start = target + across * (index - 1.5) * 12
        tip = start - towards * random.uniform(4, 14)
        ends = _points([(tip[0], tip[1]), tuple(start + towards * 45)], random, 0.5)
        cv2.line(cover, ends[0].tolist(), ends[1].tolist(), 1.0, round(random.uniform(9, 12) * SCALE), cv2.LINE_AA)
    palm = _points([tuple(target + towards * 52)], random, 2)[0]
    cv2.circle(cover, palm.tolist(), round(26 * SCALE), 1.0, -1, cv2.LINE_AA)
    skin = np.median(face[45:70, 30:82].reshape(-1, 3), axis=0) * random.uniform(0.75, 1.15)
    surface = _shaded(skin, random)
    edges = cv2.GaussianBlur(cover, (0, 0), 4)
    return np.asarray(surface * (0.6 + 0.4 * edges[..., None]), np.float32), cover


KINDS: dict[str, Callable[[Pixels, np.random.Generator], Layer]] = {
    "mask": mask,
    "sunglasses": sunglasses,
    "hand": hand,
}


def cover_face(
    pixels: Pixels, landmarks: NDArray[np.float32], face: Pixels, kind: str, random: np.random.Generator
) -> Pixels:
    """The image with the face covered.

    Args:
        pixels: uint8 (height, width, 3) BGR.
        landmarks: float32 (5, 2) of the face.
        face: the aligned face, whose skin colour hands get.
        kind: one of :data:`KINDS`.
    """
    colour, cover = KINDS[kind](face, random)
    to_face = np.vstack([similarity(landmarks, REFERENCE), [0, 0, 1]])
    to_layer = np.array([[SCALE, 0, SCALE * MARGIN], [0, SCALE, SCALE * MARGIN]]) @ to_face
    size = (pixels.shape[1], pixels.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(colour, to_layer, size, flags=flags)
    alpha = cv2.GaussianBlur(cv2.warpAffine(cover, to_layer, size, flags=flags), (0, 0), 0.7)[..., None]
    return np.asarray(np.clip(pixels * (1 - alpha) + laid * alpha, 0, 255), np.uint8)

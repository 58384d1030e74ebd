"""Outlines as pixels, and the part of a network that says them: what an object of a class looks like in its box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tao_automl.standin.coco_map import Detections, Floats, Ints
from tao_automl.standin.examples import Examples

PATCH = 14  # pixels: the side of what is learned of a class
FINER = 4  # times: outlines are drawn so much larger, because a drawn line is a pixel wide
RATE = 2500.0  # of the spec's learning rate, an epoch

Array = NDArray[Any]
Bools = NDArray[np.bool_]


def drawn(polygons: Sequence[Sequence[float]], corner: Floats, scale: Floats, side: int) -> Bools:
    """The polygons as (side, side) pixels; a point p lies at (p - corner) * scale.

    Raises:
        ValueError: they are no list of x, y, x, y … lists.
    """
    canvas = Image.new("L", (side * FINER, side * FINER))
    pen = ImageDraw.Draw(canvas)
    if not isinstance(polygons, list) or not all(isinstance(line, list) for line in polygons):
        raise ValueError("Wrong mask format")
    for line in polygons:
        points = (np.asarray(line, dtype=np.float64).reshape(-1, 2) - corner) * scale * FINER - 0.5
        if len(points) > 1:
            pen.polygon([(float(x), float(y)) for x, y in points], fill=1)
    fine = np.asarray(canvas).reshape(side, FINER, side, FINER)
    covered: Bools = fine.mean(axis=(1, 3)) > 0.5
    return covered


def whole(examples: Examples, side: int) -> Bools:
    """The outlines of all true objects, (objects, side, side), each on its image stretched to a square."""
    scales = side / examples.sizes[examples.truth.image]
    origin = np.zeros(2)
    found = [drawn(line, origin, scale, side) for line, scale in zip(examples.outlines, scales, strict=True)]
    return np.stack(found) if found else np.zeros((0, side, side), dtype=bool)


def patches(examples: Examples) -> Floats:
    """The outlines of all true objects inside their boxes, (objects, PATCH, PATCH) of 0 and 1."""
    boxes = examples.truth.box
    found = [
        drawn(line, box[:2], PATCH / np.maximum(box[2:], 1e-6), PATCH)
        for line, box in zip(examples.outlines, boxes, strict=True)
    ]
    return np.stack(found).astype(np.float64) if found else np.zeros((0, PATCH, PATCH))


class MaskHead:
    """Of each class the logit of every place in a box to belong to the object."""

    def __init__(self, logits: Array) -> None:
        self.logits = logits.astype(np.float32)

    @classmethod
    def fresh(cls, classes: int) -> MaskHead:
        return cls(np.zeros((classes, PATCH, PATCH)))

    def learn(self, targets: Floats, category: Ints, rate: float) -> None:
        """One step down the slope of the mean cross entropy, for each class that has targets."""
        for number in np.unique(category):
            miss = targets[category == number].mean(axis=0) - 1 / (1 + np.exp(-self.logits[number]))
            self.logits[number] += rate * miss

    def paste(self, found: Detections, sizes: Floats, side: int) -> Bools:
        """The masks of detections, (detections, side, side), on images stretched to a square."""
        masks = np.zeros((len(found.score), side, side), dtype=bool)
        shares = 1 / (1 + np.exp(-self.logits))
        for row, (box, category) in enumerate(zip(found.box, found.category, strict=True)):
            scale = side / sizes[found.image[row]]
            left, top = (int(value) for value in np.floor(box[:2] * scale).clip(0, side - 1))
            right, bottom = (int(value) for value in np.ceil((box[:2] + box[2:]) * scale).clip(1, side))
            patch = Image.fromarray(shares[category])
            size = (max(1, right - left), max(1, bottom - top))
            inside = np.asarray(patch.resize(size, Image.Resampling.BILINEAR)) > 0.5
            masks[row, top : top + size[1], left : left + size[0]] = inside[: side - top, : side - left]
        return masks

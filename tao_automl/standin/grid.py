"""Boxes on the grid: what each cell is to say, how wrong it was, and what it says read back as boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin.coco_map import Detections
from tao_automl.standin.network import Floats

CELL = 8  # pixels of the working size
BOX = slice(1, 5)  # channels: offset x, y in cells and log width, height; 0 says "an object", 5 and on the class
CLASSES = 5
REACH = 0.8  # cells from a box's centre that also answer for it
NEGATIVE_WEIGHT = 0.5
OVERLAP = 0.5  # IoU above which the weaker of two boxes of a class goes
FLOOR = 0.01  # score below which nothing is a detection


@dataclass(frozen=True)
class Targets:
    """For a batch: `positive` (n, rows, columns), `box` (…, 4), `category` (…)."""

    positive: NDArray[np.bool_]
    box: Floats
    category: NDArray[np.int64]


def targets(cells: int, number: int, image: NDArray[np.int64], category: NDArray[np.int64], box: Floats) -> Targets:
    """What the cells of `number` images are to say. `box` is centre x, y, width, height in cells."""
    positive = np.zeros((number, cells, cells), dtype=bool)
    wanted = np.zeros((number, cells, cells, 4), dtype=np.float32)
    classes = np.zeros((number, cells, cells), dtype=np.int64)
    centres = np.arange(cells) + 0.5
    for row in np.argsort(-box[:, 2] * box[:, 3], kind="stable"):  # the smaller one, being harder, has the last word
        x, y, width, height = box[row]
        columns = np.flatnonzero(np.abs(centres - x) < REACH)
        rows = np.flatnonzero(np.abs(centres - y) < REACH)
        at = np.ix_([image[row]], rows, columns)
        positive[at] = True
        classes[at] = category[row]
        offset_x, offset_y = np.meshgrid(x - centres[columns], y - centres[rows])
        size = np.log(np.maximum([width, height], 0.1))
        wanted[at] = np.stack(
            [offset_x, offset_y, np.full_like(offset_x, size[0]), np.full_like(offset_x, size[1])], -1
        )
    return Targets(positive, wanted, classes)


def loss(outputs: Floats, wanted: Targets, weights: tuple[float, float, float]) -> tuple[float, Floats]:
    """Loss and its gradient with respect to the outputs. `weights`: of class, offset and size."""
    class_weight, box_weight, size_weight = weights
    gradient = np.zeros_like(outputs)
    positive, count = wanted.positive, max(1, int(wanted.positive.sum()))
    chance = sigmoid(outputs[..., 0])
    weight = np.where(positive, np.float32(1), np.float32(NEGATIVE_WEIGHT)) / count
    truth = positive.astype(np.float32)
    entropy = np.logaddexp(0, outputs[..., 0]) - outputs[..., 0] * truth
    total = float((weight * entropy).sum())
    gradient[..., 0] = weight * (chance - truth)
    off = outputs[..., BOX][positive] - wanted.box[positive]
    scale = np.array([box_weight, box_weight, size_weight, size_weight], dtype=np.float32) / count
    small = np.abs(off) < 1
    total += float((scale * np.where(small, off**2 / 2, np.abs(off) - 0.5)).sum())
    part = np.zeros((*outputs.shape[:3], 4), dtype=np.float32)
    part[positive] = scale * np.where(small, off, np.sign(off))
    gradient[..., BOX] = part
    chances = softmax(outputs[..., CLASSES:][positive])
    rows, named = np.arange(len(chances)), wanted.category[positive]
    total += class_weight / count * float(-np.log(np.maximum(chances[rows, named], 1e-12)).sum())
    chances[rows, named] -= 1
    part = np.zeros_like(outputs[..., CLASSES:])
    part[positive] = class_weight / count * chances
    gradient[..., CLASSES:] = part
    return total, gradient


def detections(outputs: Floats, candidates: int, size: NDArray[np.float64], first: int) -> Detections:
    """The boxes that outputs (n, rows, columns, channels) stand for, in the images' own pixels.

    `candidates` cells an image are looked at; `size` (n, 2) is width and height; images count from `first`.
    """
    number, cells = outputs.shape[:2]
    parts: list[tuple[NDArray[np.float64], ...]] = []
    chances = softmax(outputs[..., CLASSES:])
    category = chances.argmax(axis=-1)
    score = sigmoid(outputs[..., 0]) * chances.max(axis=-1)
    centre = np.arange(cells) + 0.5
    x, y = outputs[..., 1] + centre[None, None, :], outputs[..., 2] + centre[None, :, None]
    width, height = np.exp(np.clip(outputs[..., 3], -5, 5)), np.exp(np.clip(outputs[..., 4], -5, 5))
    corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1).reshape(number, -1, 4)
    corners = np.clip(corners, 0, cells)
    category, score = category.reshape(number, -1), np.nan_to_num(score.reshape(number, -1))
    for place in range(number):
        order = np.argsort(-score[place], kind="stable")[:candidates]
        order = order[score[place][order] > FLOOR]
        kept = order[suppress(corners[place][order], category[place][order])]
        scale = np.tile(size[place] / cells, 2)
        box = corners[place][kept] * scale
        box[:, 2:] -= box[:, :2]
        parts.append((np.full(len(kept), first + place), category[place][kept], box, score[place][kept]))
    image, named, box, sure = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Detections(image.astype(np.int64), named.astype(np.int64), box.astype(float), sure.astype(float))


def suppress(corners: NDArray[np.float64], category: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of boxes by falling score, which stay when the weaker of two that overlap goes."""
    area = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0), axis=1)
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    inter = np.prod(np.maximum(high - low, 0), axis=2)
    union = area[:, None] + area[None, :] - inter
    iou = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    clash = (iou > OVERLAP) & (category[:, None] == category[None, :])
    kept: list[int] = []
    for row in range(len(corners)):
        if not clash[row, kept].any():
            kept.append(row)
    return np.array(kept, dtype=np.int64)


def sigmoid(value: Floats) -> Floats:
    """Without overflow."""
    result: Floats = np.exp(-np.logaddexp(0, -value))
    return result


def softmax(value: Floats) -> Floats:
    """Over the last axis."""
    shifted = np.exp(value - value.max(axis=-1, keepdims=True))
    result: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
    return result

"""What a grid of outputs should be, how wrong it is, and the slope of that: focal, distance and GIoU loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin.network import BOX

Array = NDArray[Any]

REACH = 1.5  # cells: distance from cell to side that an output of 0 means
LIMIT = 4.0  # outputs for boxes beyond it change nothing
GAMMA = 2.0  # of the focal loss
NEAR = 0.75  # cells: a cell is responsible for a box whose centre is nearer than this in both directions


@dataclass(frozen=True)
class Coefficients:
    """Weights of the three losses and the focal loss's share of positives."""

    classes: float
    distance: float
    giou: float
    alpha: float


@dataclass(frozen=True)
class Targets:
    """Responsible cells of a batch. `cell` counts through (image, row, column); `box` are corners, 0 to 1."""

    cell: NDArray[np.int64]
    category: NDArray[np.int64]
    box: Array


def centres(grid: int) -> Array:
    """Centres of the cells, (grid * grid, 2) as x, y from 0 to 1."""
    line = (np.arange(grid) + 0.5) / grid
    return np.stack(np.broadcast_arrays(line[None, :], line[:, None]), axis=2).reshape(-1, 2)


def assign(image: NDArray[np.int64], category: NDArray[np.int64], box: Array, grid: int) -> Targets:
    """Give each box (corners from 0 to 1) the cells around its centre; of two boxes the smaller one wins."""
    size = box[:, 2:] - box[:, :2]
    order = np.argsort(-size.prod(axis=1), kind="stable")
    image, category, box = image[order], category[order], box[order]
    middle = (box[:, :2] + box[:, 2:]) / 2
    far = np.abs(centres(grid)[None] - middle[:, None]).max(axis=2) * grid
    far[np.arange(len(far)), far.argmin(axis=1)] = 0.0
    row, cell = np.nonzero(far < NEAR)
    owner = np.full((int(image.max(initial=-1)) + 1) * grid * grid, -1)
    owner[image[row] * grid * grid + cell] = row  # the last write, the smallest box, stays
    taken = np.flatnonzero(owner >= 0)
    return Targets(taken, category[owner[taken]], box[owner[taken]])


def boxes(outputs: Array, centre: Array, grid: int) -> Array:
    """Corners from 0 to 1 of (m, 4) outputs at (m, 2) cell centres."""
    reach = np.exp(np.clip(outputs, -LIMIT, LIMIT)) * (REACH / grid)
    return np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1)


def loss(outputs: Array, targets: Targets, weight: Coefficients) -> tuple[float, Array]:
    """Loss of (n, grid, grid, classes + 4) outputs, by responsible cell, and its slope."""
    grid = outputs.shape[1]
    flat = outputs.reshape(-1, outputs.shape[-1])
    slope = np.zeros_like(flat)
    share = 1.0 / max(1, len(targets.cell))
    total = _focal(flat[:, :-BOX], targets, weight, slope[:, :-BOX])
    if len(targets.cell):
        raw = flat[targets.cell, -BOX:]
        centre = centres(grid)[targets.cell % (grid * grid)].astype(flat.dtype)
        found = boxes(raw, centre, grid)
        want = targets.box.astype(flat.dtype)
        distance = np.abs(found - want)
        giou, by_corner = _giou(found, want)
        total += weight.distance * float(distance.sum()) + weight.giou * float((1 - giou).sum())
        by_corner = weight.distance * np.sign(found - want) - weight.giou * by_corner
        reach = np.abs(found - np.tile(centre, 2)) * (np.abs(raw) < LIMIT)
        slope[targets.cell, -BOX:] = by_corner * reach * np.array([-1, -1, 1, 1], dtype=flat.dtype)
    slope *= share
    return total * share, slope.reshape(outputs.shape)


def _focal(logits: Array, targets: Targets, weight: Coefficients, slope: Array) -> float:
    """Sum of the focal loss; fills `slope`."""
    score = 1 / (1 + np.exp(-logits))
    place = (targets.cell, targets.category)
    hit = score[place]
    miss_log = np.logaddexp(0, logits)  # -log(1 - score)
    hit_log = miss_log[place] - logits[place]  # -log(score)
    scale = weight.classes * (1 - weight.alpha)
    wrong = score**GAMMA * miss_log
    slope[:] = scale * score**GAMMA * (GAMMA * (1 - score) * miss_log + score)
    right = weight.classes * weight.alpha * (1 - hit) ** GAMMA
    total = scale * float(wrong.sum() - wrong[place].sum()) + float((right * hit_log).sum())
    slope[place] = -right * (GAMMA * hit * hit_log + 1 - hit)
    return total


def _giou(one: Array, two: Array) -> tuple[Array, Array]:
    """Generalised IoU of corner boxes row by row, and its slope by the corners of `one`."""
    size = one[:, 2:] - one[:, :2]
    inner = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])
    outer = np.maximum(one[:, 2:], two[:, 2:]) - np.minimum(one[:, :2], two[:, :2])
    meets = (inner > 0).all(axis=1, keepdims=True)
    inner = np.where(meets, inner, 0)
    area = size.prod(axis=1, keepdims=True)
    both, hull = inner.prod(axis=1, keepdims=True), outer.prod(axis=1, keepdims=True)
    union = area + (two[:, 2:] - two[:, :2]).prod(axis=1, keepdims=True) - both
    ones = np.ones_like(size)
    by_size = np.concatenate([-ones, ones], axis=1)
    d_area = by_size * np.tile(size[:, ::-1], 2)
    inside = np.concatenate([one[:, :2] > two[:, :2], one[:, 2:] < two[:, 2:]], axis=1) & meets
    d_both = by_size * inside * np.tile(inner[:, ::-1], 2)
    outside = np.concatenate([one[:, :2] < two[:, :2], one[:, 2:] > two[:, 2:]], axis=1)
    d_hull = by_size * outside * np.tile(outer[:, ::-1], 2)
    d_union = d_area - d_both
    giou = both / union - 1 + union / hull
    d_giou = (d_both * union - both * d_union) / union**2 + (d_union * hull - union * d_hull) / hull**2
    return giou[:, 0], d_giou

"""COCO mAP over boxes, in numpy: the rule of pycocotools with area range "all" and 100 detections an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100  # per image and class
MAX_AREA = 1e10  # a larger object is ignored, as pycocotools does


@dataclass(frozen=True)
class Truth:
    """Annotated boxes of a set. `box` is (n, 4) as x, y, width, height; `image` any sortable number."""

    image: Ints
    category: Ints
    box: Floats
    area: Floats
    crowd: NDArray[np.bool_]


@dataclass(frozen=True)
class Detections:
    """Detected boxes of a set, in any order. `box` is (n, 4) as x, y, width, height."""

    image: Ints
    category: Ints
    box: Floats
    score: Floats


@dataclass(frozen=True)
class Scores:
    """`map` is the mean over IoU 0.5 … 0.95, `map50` at IoU 0.5; both -1 when there is nothing to find."""

    map: float
    map50: float


def overlaps(box: Floats, truth: Floats, crowd: NDArray[np.bool_]) -> Floats:
    """IoU of each box with each true box, (n, m). A crowd counts by the share of the detection it covers."""
    corner = np.minimum(box[:, None, :2] + box[:, None, 2:], truth[None, :, :2] + truth[None, :, 2:])
    side = corner - np.maximum(box[:, None, :2], truth[None, :, :2])
    inter = np.where((side > 0).all(axis=2), side[..., 0] * side[..., 1], 0.0)
    area = (box[:, 2] * box[:, 3])[:, None]
    union = np.where(crowd[None, :], area, area + (truth[:, 2] * truth[:, 3])[None, :] - inter)
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def match(iou: Floats, ignored: NDArray[np.bool_], crowd: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Give each detection (best score first) at most one true box at each threshold.

    `iou` is (detections, truths) with ignored truths last. Returns two (thresholds, detections) arrays of 0/1:
    hits, and detections that do not count because they met an ignored truth.
    """
    limits = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    hit = np.zeros((len(THRESHOLDS), len(iou)), dtype=np.int64)
    void = np.zeros_like(hit)
    taken = np.zeros((len(THRESHOLDS), iou.shape[1]), dtype=bool)
    rows = np.arange(len(THRESHOLDS))
    for number in np.flatnonzero((iou >= limits[0]).any(axis=1)):
        free = (iou[number] >= limits) & (~taken | crowd)
        rank = np.where(free, iou[number], -1.0)
        counted = free & ~ignored
        rank = np.where(ignored & counted.any(axis=1)[:, None], -1.0, rank)
        best = rank.shape[1] - 1 - rank[:, ::-1].argmax(axis=1)  # of equals the last one wins
        found = rank[rows, best] >= 0
        void[:, number] = found & ignored[best]
        hit[:, number] = found & ~ignored[best]
        taken[rows[found], best[found]] = True
    return hit, void


def precision(hit: Ints, void: Ints, positives: int) -> Floats:
    """Interpolated precision at the 101 recalls for each threshold; detections are sorted by score."""
    tp = np.cumsum(hit, axis=1).astype(float)
    fp = np.cumsum((hit == 0) & (void == 0), axis=1).astype(float)
    result = np.zeros((len(THRESHOLDS), len(RECALLS)))
    for row in range(len(THRESHOLDS)):
        recall = tp[row] / positives
        raw = tp[row] / (tp[row] + fp[row] + np.spacing(1))
        best_after = np.maximum.accumulate(raw[::-1])[::-1]
        place = np.searchsorted(recall, RECALLS, side="left")
        inside = place < len(recall)
        result[row, inside] = best_after[place[inside]]
    return result


@dataclass(frozen=True)
class Hits:
    """What became of a class's detections, best score first: two (thresholds, detections) arrays as of `match`."""

    hit: Ints
    void: Ints
    positives: int


# IoU of detections with true boxes, given by their rows.
Overlaps = Callable[[Ints, Ints], Floats]


def class_hits(truth: Truth, found: Detections, category: int, iou: Overlaps | None = None) -> Hits | None:
    """The detections of one class against its true boxes, or None when it has no counted one. IoU is of the boxes."""
    truths = np.flatnonzero(truth.category == category)
    ignored_all = truth.crowd | (truth.area > MAX_AREA)
    positives = int((~ignored_all[truths]).sum())
    if positives == 0:
        return None
    chosen = np.flatnonzero(found.category == category)
    chosen = chosen[np.argsort(-found.score[chosen], kind="stable")]
    hits, voids, scores = [], [], []
    for image in np.unique(found.image[chosen]):
        here = chosen[found.image[chosen] == image][:MAX_DETECTIONS]
        there = truths[truth.image[truths] == image]
        there = there[np.argsort(ignored_all[there], kind="stable")]
        shared = overlaps(found.box[here], truth.box[there], truth.crowd[there]) if iou is None else iou(here, there)
        hit, void = match(shared, ignored_all[there], truth.crowd[there])
        hits.append(hit)
        voids.append(void)
        scores.append(found.score[here])
    if not scores:
        empty = np.zeros((len(THRESHOLDS), 0), dtype=np.int64)
        return Hits(empty, empty, positives)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Hits(np.concatenate(hits, axis=1)[:, order], np.concatenate(voids, axis=1)[:, order], positives)


def class_precision(truth: Truth, found: Detections, category: int) -> Floats | None:
    """Precision curves of one class, or None when it has no counted true box."""
    hits = class_hits(truth, found, category)
    if hits is None or hits.hit.shape[1] == 0:
        return None if hits is None else np.zeros((len(THRESHOLDS), len(RECALLS)))
    return precision(hits.hit, hits.void, hits.positives)


def evaluate(truth: Truth, found: Detections, categories: Sequence[int]) -> Scores:
    """mAP over `categories`; classes without a true box do not count."""
    curves = [class_precision(truth, found, category) for category in dict.fromkeys(categories)]
    present = [curve for curve in curves if curve is not None]
    if not present:
        return Scores(-1.0, -1.0)
    stacked = np.stack(present)
    return Scores(float(stacked.mean()), float(stacked[:, 0].mean()))

"""How well objects are found and outlined: by class over a vocabulary, or by expression on each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin import coco_map
from tao_automl.standin.coco_map import THRESHOLDS, Detections, Floats, Overlaps, Truth

Bools = NDArray[np.bool_]
CLASS_SCORES = ("P", "R", "mAP@50", "mAP@50-95", "mIoU")
SHARES = (0.5, 0.7, 0.9)  # IoU from which an expression counts as met, for Pr@…


def by_class(truth: Truth, found: Detections, categories: Sequence[int], iou: Overlaps) -> dict[str, float]:
    """Means over the classes that have true objects, 0 to 1; nothing when none of them was detected.

    P and R are of all detections at IoU 0.5; mIoU is of each true object with the detection that fits best.
    """
    rows = []
    for category in dict.fromkeys(categories):
        hits = coco_map.class_hits(truth, found, category, iou)
        if hits is None:
            continue
        curve = coco_map.precision(hits.hit, hits.void, hits.positives) if hits.hit.shape[1] else None
        if curve is None:
            rows.append([0.0] * len(CLASS_SCORES))
            continue
        counted = max(1, int((1 - hits.void[0]).sum()))
        right = int(hits.hit[0].sum())
        fit = _best_overlaps(truth, found, category, iou)
        rows.append([right / counted, right / hits.positives, float(curve[0].mean()), float(curve.mean()), fit])
    if not np.isin(found.category, list(categories)).any() or not rows:
        return {}
    return dict(zip(CLASS_SCORES, np.mean(rows, axis=0).tolist(), strict=True))


def _best_overlaps(truth: Truth, found: Detections, category: int, iou: Overlaps) -> float:
    best = []
    for image in np.unique(truth.image[truth.category == category]):
        there = np.flatnonzero((truth.category == category) & (truth.image == image))
        here = np.flatnonzero((found.category == category) & (found.image == image))
        best += iou(here, there).max(axis=0, initial=0.0).tolist()
    return float(np.mean(best))


def mask_overlaps(found: Bools, truth: Bools) -> Overlaps:
    """IoU of masks, (detections, side, side) and (objects, side, side), by their rows."""
    pixels = found.shape[1] * found.shape[2]

    def iou(here: coco_map.Ints, there: coco_map.Ints) -> Floats:
        one, two = (masks.reshape(len(masks), pixels).astype(np.float32) for masks in (found[here], truth[there]))
        both = one @ two.T
        union = one.sum(axis=1)[:, None] + two.sum(axis=1)[None, :] - both
        shares: Floats = np.divide(both, union, out=np.zeros(both.shape), where=union > 0)
        return shares

    return iou


def box_overlaps(found: Detections, truth: Truth) -> Overlaps:
    """IoU of boxes by their rows."""
    return lambda here, there: coco_map.overlaps(found.box[here], truth.box[there], truth.crowd[there])


@dataclass(frozen=True)
class Expression:
    """One expression on one image: all that it means and all that was found for it, as masks, and how surely."""

    truth: Bools
    found: Bools
    score: float


def by_expression(expressions: Sequence[Expression]) -> dict[str, float]:
    """Per cent. An expression without an object is met by finding nothing."""
    ious, both, union, hits = [], 0, 0, []
    empty = np.array([not item.truth.any() for item in expressions], dtype=bool)
    silent = np.array([not item.found.any() for item in expressions], dtype=bool)
    for item in expressions:
        shared, joined = int((item.truth & item.found).sum()), int((item.truth | item.found).sum())
        both, union = both + shared, union + joined
        ious.append(shared / joined if joined else 1.0)
        hits.append(ious[-1] >= THRESHOLDS)
    order = np.argsort([-item.score for item in expressions], kind="stable")
    hit = np.array(hits, dtype=np.int64).reshape(-1, len(THRESHOLDS))[order].T
    most = int(hit.sum(axis=1).max(initial=0))
    curve = coco_map.precision(hit, np.zeros_like(hit), most) if most else np.zeros((1, 1))
    meant = np.array(ious)[~empty]
    scores = {
        "mIoU": float(np.mean(ious)) if ious else 0.0,
        "overall_IoU": both / max(1, union),
        "mAP50": float(curve[0].mean()),
        "mAP": float(curve.mean()),
        "T_acc": float((~silent[~empty]).mean()) if (~empty).any() else 0.0,
        "N_acc": float(silent[empty].mean()) if empty.any() else 0.0,
        **{f"Pr@{share}": float((meant >= share).mean()) if len(meant) else 0.0 for share in SHARES},
    }
    return {name: 100.0 * value for name, value in scores.items()}

"""Scores by class and by expression."""

from __future__ import annotations

import numpy as np
import pytest

from tao_automl.standin import mask_scores
from tao_automl.standin.coco_map import Detections, Truth
from tao_automl.standin.mask_scores import Expression


def truth(*objects: tuple[int, int]) -> Truth:
    """Boxes of 10 x 10 side by side, of (image, category)."""
    image, category = (np.array(part, dtype=np.int64) for part in zip(*objects, strict=True))
    boxes = np.array([[20.0 * row, 0.0, 10.0, 10.0] for row in range(len(objects))])
    return Truth(image, category, boxes, np.full(len(objects), 100.0), np.zeros(len(objects), dtype=bool))


def detections(of: Truth, rows: list[int], shift: float = 0.0) -> Detections:
    box = of.box[rows] + [shift, 0, 0, 0]
    return Detections(of.image[rows], of.category[rows], box, np.linspace(0.9, 0.5, len(rows)))


def scores(of: Truth, found: Detections, categories: tuple[int, ...] = (0, 1)) -> dict[str, float]:
    return mask_scores.by_class(of, found, categories, mask_scores.box_overlaps(found, of))


def test_what_is_found_exactly_scores_one() -> None:
    there = truth((0, 0), (0, 1), (1, 1))
    assert scores(there, detections(there, [0, 1, 2])) == pytest.approx(dict.fromkeys(mask_scores.CLASS_SCORES, 1.0))


def test_nothing_found_is_no_score_at_all() -> None:
    there = truth((0, 0), (0, 1))
    assert scores(there, detections(there, [])) == {}
    assert scores(there, detections(there, [1]), categories=(0,)) == {}


def test_a_class_that_is_not_found_counts_as_zero() -> None:
    there = truth((0, 0), (0, 1))
    assert scores(there, detections(there, [0])) == pytest.approx(dict.fromkeys(mask_scores.CLASS_SCORES, 0.5))


def test_a_box_beside_the_object_is_half_right() -> None:
    there = truth((0, 0), (1, 0))
    found = scores(there, detections(there, [0, 1], shift=2.0), categories=(0,))  # IoU 8 / 12
    assert (found["P"], found["R"], found["mAP@50"]) == pytest.approx((1, 1, 1))
    assert found["mAP@50-95"] == pytest.approx(0.4)
    assert found["mIoU"] == pytest.approx(8 / 12)


def test_masks_overlap_by_pixels() -> None:
    one = np.zeros((2, 4, 4), dtype=bool)
    one[0, :2], one[1, 2:] = True, True
    iou = mask_scores.mask_overlaps(one, one[:1])
    assert iou(np.array([0, 1]), np.array([0])).ravel().tolist() == [1.0, 0.0]
    assert iou(np.array([0]), np.array([], dtype=np.int64)).shape == (1, 0)


def expression(truth: int, found: int, score: float = 1.0) -> Expression:
    """Of 8 pixels the first `truth` are meant, the first `found` are found."""
    pixels = np.arange(8)
    return Expression(pixels < truth, pixels < found, score)


def test_expressions_are_scored_in_per_cent() -> None:
    found = mask_scores.by_expression(
        [expression(4, 4), expression(4, 2, 0.5), expression(0, 0, 0.0), expression(0, 8)]
    )
    assert found["mIoU"] == pytest.approx(100 * (1 + 0.5 + 1 + 0) / 4)
    assert found["overall_IoU"] == pytest.approx(100 * (4 + 2) / (4 + 4 + 8))
    assert (found["T_acc"], found["N_acc"]) == (100.0, 50.0)
    assert (found["Pr@0.5"], found["Pr@0.7"]) == (100.0, 50.0)
    assert 0 < found["mAP"] < found["mAP50"] < 100


def test_a_network_that_says_nothing_is_right_about_what_is_not_there_only() -> None:
    found = mask_scores.by_expression([expression(4, 0, 0.0), expression(0, 0, 0.0)])
    assert (found["T_acc"], found["N_acc"], found["mIoU"]) == (0.0, 100.0, 50.0)

"""Against pycocotools, which is what TAO scores with."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tao_automl.standin.coco_map import Detections, Scores, Truth, evaluate

IMAGES, CATEGORIES = 3, (1, 2, 5)

side = st.sampled_from([4, 5, 8, 10, 12, 40])
corner = st.integers(0, 12)
places = st.tuples(st.integers(0, IMAGES - 1), st.sampled_from(CATEGORIES), corner, corner, side, side)
truths = st.lists(st.tuples(places, st.booleans()), max_size=12)
# Few different scores, so that many are equal.
detections = st.lists(st.tuples(places, st.sampled_from([0.1, 0.3, 0.5, 0.9])), max_size=25)


def reference(truth: list[Any], found: list[Any]) -> tuple[float, float]:
    """mAP and mAP50 of pycocotools."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number + 1, "width": 60, "height": 60} for number in range(IMAGES)],
        "categories": [{"id": number} for number in CATEGORIES],
        "annotations": [
            {
                "id": number,
                "image_id": image + 1,
                "category_id": category,
                "bbox": [x, y, width, height],
                "area": width * height,
                "iscrowd": int(crowd),
            }
            for number, ((image, category, x, y, width, height), crowd) in enumerate(truth, start=1)
        ],
    }
    rows = [[place[0] + 1, *place[2:], score, place[1]] for place, score in found]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        results = coco.loadRes(np.array(rows, dtype=float)) if rows else COCO()
        if not rows:
            results.dataset = {**coco.dataset, "annotations": []}
            results.createIndex()
        scorer = COCOeval(coco, results, "bbox")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return float(scorer.stats[0]), float(scorer.stats[1])


def scored(truth: list[Any], found: list[Any]) -> Scores:
    own_truth = Truth(
        np.array([row[0][0] for row in truth], dtype=np.int64),
        np.array([row[0][1] for row in truth], dtype=np.int64),
        np.array([row[0][2:] for row in truth], dtype=float).reshape(-1, 4),
        np.array([row[0][4] * row[0][5] for row in truth], dtype=float),
        np.array([row[1] for row in truth], dtype=bool),
    )
    own_found = Detections(
        np.array([row[0][0] for row in found], dtype=np.int64),
        np.array([row[0][1] for row in found], dtype=np.int64),
        np.array([row[0][2:] for row in found], dtype=float).reshape(-1, 4),
        np.array([row[1] for row in found], dtype=float),
    )
    return evaluate(own_truth, own_found, CATEGORIES)


@settings(max_examples=150, deadline=None)
@given(truths, detections)
def test_any_detections_score_as_in_pycocotools(truth: list[Any], found: list[Any]) -> None:
    scores = scored(truth, found)
    assert (scores.map, scores.map50) == pytest.approx(reference(truth, found), abs=1e-9)


def test_no_true_box_at_all_scores_minus_one() -> None:
    found = [((0, 1, 0, 0, 10, 10), 0.9)]
    assert scored([], found) == Scores(-1.0, -1.0)
    assert reference([], found) == (-1.0, -1.0)


def test_nothing_found_scores_zero() -> None:
    assert scored([((0, 1, 0, 0, 10, 10), False)], []) == Scores(0.0, 0.0)


def test_boxes_found_exactly_score_one() -> None:
    places = [(0, 1, 0, 0, 10, 10), (1, 2, 5, 5, 8, 8)]
    scores = scored([(place, False) for place in places], [(place, 0.5) for place in places])
    assert (scores.map, scores.map50) == pytest.approx((1.0, 1.0))


def test_more_than_a_hundred_boxes_an_image_are_cut_as_in_pycocotools() -> None:
    truth = [((0, 1, 0, 0, 10, 10), False)]
    wrong = [((0, 1, 30, 30, 5, 5), 0.9 - number / 1000) for number in range(100)]
    found = [*wrong, ((0, 1, 0, 0, 10, 10), 0.1)]
    assert (scored(truth, found).map, scored(truth, found).map50) == reference(truth, found) == (0.0, 0.0)

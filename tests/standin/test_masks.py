"""Outlines as pixels, and what a network learns of them."""

from __future__ import annotations

import numpy as np
import pytest

from tao_automl.standin import masks
from tao_automl.standin.coco_map import Detections, Truth
from tao_automl.standin.examples import Examples

LEFT_HALF = [[0.0, 0.0, 20.0, 0.0, 20.0, 40.0, 0.0, 40.0]]  # of a box of 40 x 40


def examples(*corners: tuple[float, float]) -> Examples:
    """One image of 100 x 50 with boxes of 40 x 40, in each the left half outlined."""
    boxes = np.array([[left, top, 40, 40] for left, top in corners], dtype=float)
    zeros = np.zeros(len(boxes), dtype=np.int64)
    truth = Truth(zeros, zeros, boxes, boxes[:, 2] * boxes[:, 3], zeros.astype(bool))
    outlines = tuple([(np.reshape(LEFT_HALF[0], (-1, 2)) + corner).ravel().tolist()] for corner in corners)
    return Examples(np.zeros((1, 8, 8, 3), np.uint8), np.array([[100.0, 50.0]]), truth, (0,), {0: "a"}, outlines)


def test_an_outline_is_seen_from_its_box_wherever_that_lies() -> None:
    one, two = masks.patches(examples((0, 0), (50, 5)))
    assert np.array_equal(one, two)
    assert one.mean() == pytest.approx(0.5, abs=0.1)
    assert one[:, :6].all()
    assert not one[:, -5:].any()


def test_whole_masks_lie_on_images_made_square() -> None:
    mask = masks.whole(examples((50, 0)), 20)[0]
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 13, 0, 15)
    assert mask.mean() == pytest.approx(20 * 40 / (100 * 50))


def test_what_was_learned_is_pasted_into_a_detection() -> None:
    data = examples((0, 0), (50, 5))
    head = masks.MaskHead.fresh(1)
    for _ in range(3):
        head.learn(masks.patches(data), data.truth.category, 1.0)
    zero = np.zeros(2, dtype=np.int64)
    found = Detections(zero, zero, data.truth.box, np.ones(2))
    pasted, truth = head.paste(found, data.sizes, 48), masks.whole(data, 48)
    shared = (pasted & truth).sum(axis=(1, 2)) / (pasted | truth).sum(axis=(1, 2))
    assert (shared > 0.8).all()


def test_an_untrained_head_says_nothing() -> None:
    zero = np.zeros(1, dtype=np.int64)
    found = Detections(zero, zero, np.array([[-5.0, 30.0, 400.0, 300.0]]), np.ones(1))
    assert not masks.MaskHead.fresh(1).paste(found, np.array([[100.0, 50.0]]), 16).any()


def test_other_forms_of_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="Wrong mask format"):
        masks.drawn({"counts": "abc", "size": [4, 4]}, np.zeros(2), np.ones(2), 8)  # type: ignore[arg-type]

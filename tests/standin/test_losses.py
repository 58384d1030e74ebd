from __future__ import annotations

import numpy as np
import pytest

from tao_automl.standin import losses

GRID, CLASSES = 4, 3
WEIGHT = losses.Coefficients(classes=2.0, distance=5.0, giou=2.0, alpha=0.25)


def targets() -> losses.Targets:
    box = np.array([[0.1, 0.1, 0.5, 0.45], [0.5, 0.4, 0.9, 0.95], [0.05, 0.6, 0.3, 0.9]])
    return losses.assign(np.array([0, 0, 1]), np.array([1, 2, 0]), box, GRID)


def test_the_slope_is_that_of_small_differences() -> None:
    rng, width = np.random.default_rng(0), 1e-6
    outputs = rng.normal(size=(2, GRID, GRID, CLASSES + 4))
    want = targets()
    _, slope = losses.loss(outputs, want, WEIGHT)
    for place in range(outputs.size):
        step = np.zeros_like(outputs)
        step.flat[place] = width
        above, below = (losses.loss(outputs + sign * step, want, WEIGHT)[0] for sign in (1, -1))
        assert slope.flat[place] == pytest.approx((above - below) / (2 * width), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("coefficient", ["classes", "distance", "giou"])
def test_each_coefficient_weighs_its_own_loss(coefficient: str) -> None:
    outputs = np.random.default_rng(0).normal(size=(2, GRID, GRID, CLASSES + 4))
    only = {"classes": 0.0, "distance": 0.0, "giou": 0.0, "alpha": 0.25}
    once = losses.loss(outputs, targets(), losses.Coefficients(**{**only, coefficient: 1.0}))[0]
    thrice = losses.loss(outputs, targets(), losses.Coefficients(**{**only, coefficient: 3.0}))[0]
    assert once > 0
    assert thrice == pytest.approx(3 * once)


def test_a_box_has_the_cell_of_its_centre() -> None:
    box = np.array([[0.5, 0.0, 0.72, 0.22]])  # centre at (0.61, 0.11): column 2, row 0
    found = losses.assign(np.array([1]), np.array([2]), box, GRID)
    assert GRID * GRID + 2 in found.cell.tolist()
    assert set(found.category.tolist()) == {2}


def test_a_shared_cell_goes_to_the_smaller_box() -> None:
    box = np.array([[0.3, 0.3, 0.45, 0.45], [0.0, 0.0, 0.75, 0.75]])
    for order in ([0, 1], [1, 0]):
        found = losses.assign(np.zeros(2, dtype=np.int64), np.array([1, 2])[order], box[order], GRID)
        assert found.category[found.cell == GRID + 1].tolist() == [1]


def test_no_boxes_leave_no_responsible_cell_but_a_loss() -> None:
    none = losses.assign(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 4)), GRID)
    value, slope = losses.loss(np.zeros((1, GRID, GRID, CLASSES + 4)), none, WEIGHT)
    assert value > 0
    assert (slope[..., :CLASSES] > 0).all()
    assert (slope[..., CLASSES:] == 0).all()


def test_a_right_answer_costs_next_to_nothing() -> None:
    want = targets()
    outputs = np.full((2 * GRID * GRID, CLASSES + 4), -12.0)
    outputs[want.cell, want.category] = 12.0
    centre = losses.centres(GRID)[want.cell % (GRID * GRID)]
    reach = np.abs(want.box - np.tile(centre, 2))
    outputs[want.cell, -4:] = np.log(reach * GRID / losses.REACH)
    assert losses.boxes(outputs[want.cell, -4:], centre, GRID) == pytest.approx(want.box)
    assert losses.loss(outputs.reshape(2, GRID, GRID, -1), want, WEIGHT)[0] < 1e-3

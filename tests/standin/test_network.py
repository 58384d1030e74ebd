from __future__ import annotations

import numpy as np
import pytest

from tao_automl.standin.network import BOX, STRIDE, Network, Plan

PLAN = Plan(stem=5, width=6, enc_layers=2, dec_layers=1, classes=3)


def made(seed: int = 0) -> Network:
    return Network(PLAN, np.random.default_rng(seed), np.float64)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, 24, 24, 3))


def test_each_cell_says_classes_and_a_box(images: np.ndarray) -> None:
    assert made().forward(images).shape == (2, 24 // STRIDE, 24 // STRIDE, PLAN.classes + BOX)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_gradient_is_that_of_small_differences(images: np.ndarray, dropout: float) -> None:
    network, slope = made(), np.random.default_rng(2).normal(size=(2, 3, 3, PLAN.classes + BOX))
    network.weights += np.random.default_rng(5).normal(0, 0.1, network.weights.shape)  # off the kink at 0

    def value() -> float:
        return float((network.forward(images, dropout, np.random.default_rng(3)) * slope).sum())

    value()
    network.backward(slope, dropout)
    gradient = dict(network.views(network.gradient.copy()))
    rng, width = np.random.default_rng(4), 1e-6
    for name, array in network.arrays.items():
        for place in rng.choice(array.size, 6):
            kept = array.flat[place]
            array.flat[place] = kept + width
            above = value()
            array.flat[place] = kept - width
            below = value()
            array.flat[place] = kept
            expected = (above - below) / (2 * width)
            assert gradient[name].flat[place] == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_an_image_does_not_see_its_neighbour(images: np.ndarray) -> None:
    network = made()
    assert network.forward(images)[1] == pytest.approx(network.forward(images[1:])[0], rel=1e-12)


def test_before_training_no_class_is_likely(images: np.ndarray) -> None:
    logits = made().forward(images)[..., : PLAN.classes]
    assert (1 / (1 + np.exp(-logits))).mean() < 0.05


def test_the_seed_decides_the_weights() -> None:
    assert (made(3).weights == made(3).weights).all()
    assert (made(3).weights != made(4).weights).any()


def test_a_view_reaches_into_the_vector() -> None:
    network = made()
    network.arrays["head.bias"][:] = 7.0
    assert (network.weights[-(PLAN.classes + BOX) :] == 7.0).all()
    assert sum(array.size for array in network.arrays.values()) == network.weights.size

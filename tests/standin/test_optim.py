from __future__ import annotations

import numpy as np
import pytest

from tao_automl.standin.optim import Optimizer, clip


def made(kind: str, rate: float = 0.1, decay: float = 0.0, momentum: float = 0.9) -> Optimizer:
    return Optimizer(kind, np.full(2, rate), np.full(2, decay), momentum)


@pytest.mark.parametrize("kind", ["AdamW", "SGD"])
def test_a_bowl_is_descended_to_its_bottom(kind: str) -> None:
    bottom, weights = np.array([1.0, -2.0]), np.array([5.0, 5.0])
    optimizer = made(kind, rate=0.05)
    for step in range(900):
        optimizer.step(weights, weights - bottom, 1.0 if step < 600 else 0.1)
    assert weights == pytest.approx(bottom, abs=1e-2)


def test_the_first_adamw_step_has_the_length_of_the_rate() -> None:
    weights = np.zeros(2)
    made("AdamW").step(weights, np.array([3.0, -0.001]), 0.5)
    assert weights == pytest.approx([-0.05, 0.05], rel=1e-4)


def test_adamw_decays_without_a_gradient() -> None:
    weights = np.array([1.0, -2.0])
    made("AdamW", decay=0.5).step(weights, np.zeros(2), 1.0)
    assert weights == pytest.approx([0.95, -1.9])


def test_sgd_steps_grow_by_momentum() -> None:
    optimizer, weights = made("SGD", momentum=0.5), np.zeros(2)
    for _ in range(2):
        optimizer.step(weights, np.array([1.0, 2.0]), 1.0)
    assert weights == pytest.approx([-(0.1 + 0.15), -(0.2 + 0.3)])


def test_each_weight_has_its_own_rate() -> None:
    optimizer, weights = Optimizer("AdamW", np.array([0.0, 0.1]), np.zeros(2), 0.9), np.ones(2)
    optimizer.step(weights, np.ones(2), 1.0)
    assert weights[0] == 1.0
    assert weights[1] < 1.0


@pytest.mark.parametrize("kind", ["AdamW", "SGD"])
def test_a_restored_optimizer_makes_the_same_next_step(kind: str) -> None:
    one, two, rng = made(kind), made(kind), np.random.default_rng(0)
    weights = np.ones(2)
    for _ in range(3):
        one.step(weights, rng.normal(size=2), 1.0)
    two.restore(one.state())
    ahead, gradient = weights.copy(), rng.normal(size=2)
    one.step(weights, gradient, 1.0)
    two.step(ahead, gradient, 1.0)
    assert (weights == ahead).all()
    assert two.steps == one.steps == 4


def test_a_state_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="another network"):
        made("AdamW").restore(Optimizer("AdamW", np.zeros(3), np.zeros(3), 0.9).state())


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="Lion"):
        made("Lion")


def test_long_gradients_are_clipped_and_short_ones_are_not() -> None:
    long, short = np.array([3.0, 4.0]), np.array([0.3, 0.4])
    clip(long, 1.0)
    clip(short, 1.0)
    assert long == pytest.approx([0.6, 0.8])
    assert short.tolist() == [0.3, 0.4]

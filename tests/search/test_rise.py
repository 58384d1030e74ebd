"""What a curve's own rise says of where it ends."""

from __future__ import annotations

import math
import random

import pytest

from tao_automl.search import rise
from tao_automl.search.curves import Curve

EPOCHS = 20


def exponential(end: float, constant: float, epochs: int = EPOCHS, noise: float = 0.0) -> Curve:
    """A rise to `end` with a time constant in parts of the training."""
    rng = random.Random(3)
    top = end / (1 - math.exp(-1 / constant))
    return Curve.along(
        {n: top * (1 - math.exp(-(n + 1) / EPOCHS / constant)) + rng.gauss(0, noise) for n in range(epochs)}
    )


FAST = [exponential(end, 0.15, noise=0.002) for end in (0.7, 0.6, 0.65)]
SLOW = [exponential(end, 2.0, noise=0.002) for end in (0.7, 0.6, 0.65)]


@pytest.mark.parametrize("constant", [0.1, 0.3, 1.0])
def test_an_exponential_is_followed_to_its_end(constant):
    seen = exponential(0.6, constant, 12)
    assert rise.chance(seen, FAST, EPOCHS, 0.55) > 0.9
    assert rise.chance(seen, FAST, EPOCHS, 0.65) < 0.1


def test_a_rise_that_is_slower_than_all_before_is_not_ruled_out():
    assert rise.chance(exponential(0.8, 3.0, 8, noise=0.002), FAST, EPOCHS, 0.7) > 0.5


def test_a_rise_that_has_flattened_stays_where_it_is():
    assert rise.chance(exponential(0.4, 0.15, 8, noise=0.002), FAST, EPOCHS, 0.7) < 0.02
    assert rise.chance(Curve((0.1,) * 8), FAST, EPOCHS, 0.7) < 0.02


def test_full_trainings_tell_how_fast_a_rise_flattens_while_it_does_not_say_so_itself():
    seen = exponential(0.5, 0.15, 3, noise=0.01)
    assert rise.chance(seen, FAST, EPOCHS, 0.7) < rise.chance(seen, SLOW, EPOCHS, 0.7) / 2


def test_noise_leaves_more_open():
    noisy = [exponential(end, 0.15, noise=0.05) for end in (0.7, 0.6, 0.65)]
    seen = exponential(0.5, 0.3, 6)
    assert rise.chance(seen, noisy, EPOCHS, 0.6) > rise.chance(seen, FAST, EPOCHS, 0.6)

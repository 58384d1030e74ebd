"""The Gaussian process."""

from __future__ import annotations

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tao_automl.search.surrogate.axes import Axis, Cube
from tao_automl.search.surrogate.gaussian import Evidence, condition, fit
from tao_automl.search.surrogate.outcome import scores

CUBE = Cube(
    (
        *(Axis(name, FloatDistribution(0, 1), 0.5) for name in "abcd"),
        Axis("kind", CategoricalDistribution(("x", "y", "z")), 0.0),
    )
)


def configs(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.random((count, 5))
    points[:, 4] = rng.integers(3, size=count)
    return points


def function(points: np.ndarray) -> np.ndarray:
    return -8 * (points[:, 0] - 0.3) ** 2 + points[:, 1] - 0.8 * (points[:, 4] == 2)


def evidence(count: int, noise: float = 0.05, seed: int = 0) -> Evidence:
    points = configs(count, seed)
    return Evidence.of(points, function(points) + noise * np.random.default_rng(seed + 1).normal(size=count))


def test_a_few_noisy_values_tell_of_configs_that_were_not_seen() -> None:
    seen = evidence(30)
    mean, spread = condition(fit(CUBE, seen), seen).predict(configs(200, 9))
    truth = function(configs(200, 9))
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert np.mean(np.abs(mean - truth) < 3 * spread) > 0.9


def test_the_spread_is_small_where_values_are_and_large_elsewhere() -> None:
    seen = Evidence.of(configs(12, 0) * np.array([0.3, 0.3, 0.3, 0.3, 1.0]), np.linspace(-1, 1, 12))
    model = condition(fit(CUBE, seen), seen)
    far = np.array([[1.0, 1.0, 1.0, 1.0, 0.0]])
    assert model.predict(far)[1][0] > 2 * model.predict(seen.points)[1].max()


def test_axes_that_do_nothing_get_long_lengths() -> None:
    known = fit(CUBE, evidence(60))
    assert known.inverse[0] > 2 * max(known.inverse[2], known.inverse[3])


def foreign(scores: np.ndarray, points: np.ndarray) -> Evidence:
    return Evidence(points, scores, np.ones(len(scores), dtype=bool), np.full(len(scores), 5.0))


def test_another_task_is_believed_as_far_as_it_agrees() -> None:
    own, points = evidence(25), configs(30, 3)
    good = fit(CUBE, own.joined(foreign(function(points), points)))
    noise = np.random.default_rng(5).normal(size=30)
    misleading = fit(CUBE, own.joined(foreign(noise, points)))
    assert good.kinship > misleading.kinship


def test_a_task_that_agrees_helps_where_we_have_seen_little() -> None:
    own, points, unseen = evidence(4), configs(40, 3), configs(200, 9)
    alone = condition(fit(CUBE, own), own).predict(unseen)[0]
    joined = own.joined(foreign(function(points), points))
    together = condition(fit(CUBE, joined), joined).predict(unseen)[0]
    truth = function(unseen)
    assert np.corrcoef(together, truth)[0, 1] > np.corrcoef(alone, truth)[0, 1]


def test_a_centre_that_is_best_makes_the_unknown_look_worse() -> None:
    """Two axes were tried on their own, both ways, and were worse: so are the corners that nobody has seen."""
    centre = CUBE.centre()
    steps = np.array([[0, 0], [0.2, 0], [-0.2, 0], [0, 0.2], [0, -0.2], [0.1, 0], [0, 0.1]])
    points = np.tile(centre, (len(steps), 1))
    points[:, :2] += steps
    seen = Evidence.of(points, scores(-np.square(steps).sum(axis=1)))
    corner = centre.copy()
    corner[:2] = 0.95
    mean, _ = condition(fit(CUBE, seen), seen).predict(np.vstack([centre, corner]))
    assert mean[1] < mean[0] - 1


def test_values_that_are_all_alike_make_no_trouble() -> None:
    seen = Evidence.of(np.tile(configs(1, 0), (6, 1)), np.zeros(6))
    mean, spread = condition(fit(CUBE, seen), seen).predict(configs(10, 1))
    assert np.isfinite(mean).all()
    assert np.isfinite(spread).all()

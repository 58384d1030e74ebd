"""Keeping the configs of a batch apart."""

from __future__ import annotations

import numpy as np
from optuna.distributions import FloatDistribution

from tao_automl.search.surrogate.axes import Axis, Cube
from tao_automl.search.surrogate.gaussian import Evidence, Gaussian, condition, fit
from tao_automl.search.surrogate.penalty import Penalty

CUBE = Cube((Axis("x", FloatDistribution(0, 1), 0.5), Axis("y", FloatDistribution(0, 1), 0.5)))


def model() -> Gaussian:
    points = np.random.default_rng(0).random((20, 2))
    seen = Evidence.of(points, -4 * np.square(points - 0.4).sum(axis=1))
    return condition(fit(CUBE, seen), seen)


def test_the_penalty_falls_with_the_distance_from_what_runs() -> None:
    running = np.array([[0.2, 0.2]])
    penalty = Penalty.of(model(), running, goal=0.0)
    assert penalty is not None
    away = np.array([[0.2 + step, 0.2] for step in (0.0, 0.05, 0.2, 0.6)])
    shares = penalty.log_shares(away)
    assert (np.diff(shares) >= 0).all()
    assert shares[0] < shares[1] < shares[-1]
    assert shares[0] < np.log(0.5) + 1e-6


def test_nothing_runs_nothing_is_penalised() -> None:
    assert Penalty.of(model(), np.zeros((0, 2)), goal=0.0) is None

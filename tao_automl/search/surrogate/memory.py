"""Configs that cannot run: out of memory is learned as a limit.

Two things are known of it. What takes more memory than a config that failed fails too: there is no second trial in
that region. And a limit is a plane rather than a point: a logistic regression on the axes that take memory, whose
weights are never negative, says how likely a config is to fail before another one has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from tao_automl.search.surrogate.axes import Cube, Points

Values = NDArray[np.float64]

_SLOPE, _SLOPE_SD = 8.0, 6.0  # prior of a weight: over the whole axis, log-odds of failure rise by so much
_OFFSET_SD = 10.0
_TOUCH = 1e-9
# How likely a config must be to run: the first failures show where the limit is, later ones are a waste.
_CURIOUS, _CAREFUL, _FIRST_FAILURES = 0.5, 0.85, 2


@dataclass(frozen=True)
class Limit:
    """What is known of the memory limit. `weights` is None while nothing has failed."""

    growing: NDArray[np.bool_]
    failed: Points
    weights: Values | None = None
    offset: float = 0.0

    def beyond(self, points: Points) -> NDArray[np.bool_]:
        """True for configs that take at least as much memory as one that failed."""
        if not len(self.failed) or not self.growing.any():
            return np.zeros(len(points), dtype=bool)
        ours, theirs = points[:, self.growing], self.failed[:, self.growing]
        more = np.asarray(ours[:, None, :] >= theirs[None] - _TOUCH)
        return np.asarray(np.any(np.all(more, axis=2), axis=1))

    def risky(self, points: Points) -> NDArray[np.bool_]:
        """True for configs that are too likely to fail."""
        least = _CURIOUS if len(self.failed) < _FIRST_FAILURES else _CAREFUL
        return np.asarray(self.beyond(points) | (self.log_fits(points) < np.log(least)))

    def log_fits(self, points: Points) -> Values:
        """Logarithm of the probability that a config runs."""
        if self.weights is None:
            return np.zeros(len(points))
        return np.asarray(log_expit(-(points[:, self.growing] @ self.weights + self.offset)))


def learn(cube: Cube, ran: Points, failed: Points) -> Limit:
    """The limit that these configs tell of."""
    growing = cube.growing & ~cube.sets
    if not len(failed) or not growing.any():
        return Limit(growing, failed)
    points = np.vstack([ran, failed])[:, growing]
    bad = np.concatenate([np.zeros(len(ran)), np.ones(len(failed))])
    count = points.shape[1]

    def loss(theta: Values) -> tuple[float, Values]:
        odds = points @ theta[:-1] + theta[-1]
        off = (theta[:-1] - _SLOPE) / _SLOPE_SD
        value = -log_expit(np.where(bad > 0, odds, -odds)).sum() + 0.5 * off @ off + 0.5 * (theta[-1] / _OFFSET_SD) ** 2
        pull = expit(odds) - bad
        return float(value), np.append(points.T @ pull + off / _SLOPE_SD, pull.sum() + theta[-1] / _OFFSET_SD**2)

    start = np.append(np.full(count, _SLOPE), -_SLOPE * count)
    bounds = [(0.0, None)] * count + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return Limit(growing, failed, np.asarray(found.x[:-1]), float(found.x[-1]))

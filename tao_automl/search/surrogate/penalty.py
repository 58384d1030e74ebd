"""Keeps configs of a batch apart: local penalisation (González et al. 2016, "Batch Bayesian Optimization via Local
Penalization").

A function that rises by at most `slope` from a running config cannot reach its maximum within a ball around it. The
penalty is the probability that a point lies outside that ball.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from tao_automl.search.surrogate.axes import Points
from tao_automl.search.surrogate.gaussian import Gaussian

Values = NDArray[np.float64]

_STEP = 1e-3
_LEAST_SLOPE = 1.0  # scores of unit spread over the whole of an axis


@dataclass(frozen=True)
class Penalty:
    """Balls around running configs. `sets` axes count by whether their choices differ."""

    running: Points
    mean: Values
    spread: Values
    slope: float
    goal: float
    sets: NDArray[np.bool_]

    @classmethod
    def of(cls, model: Gaussian, running: Points, goal: float) -> Penalty | None:
        """None while nothing runs. `model` does not know the running configs yet; `goal` is its best mean."""
        if not len(running):
            return None
        mean, spread = model.predict(running)
        sets = model.covariance.cube.sets
        return cls(running, mean, spread, _slope(model), goal, sets)

    def log_shares(self, points: Points) -> Values:
        """Logarithm of the probability that a point is not ruled out by any of them."""
        gaps = points[:, None, :] - self.running[None]
        gaps[:, :, self.sets] = gaps[:, :, self.sets] != 0
        away = np.sqrt(np.square(gaps).sum(axis=2))
        z = (self.slope * away - (self.goal - self.mean)) / (np.sqrt(2) * self.spread)
        return np.asarray(log_ndtr(z).sum(axis=1))


def _slope(model: Gaussian) -> float:
    """The steepest slope of the mean at the points that were seen."""
    points = model.evidence.points
    numbers = np.flatnonzero(~model.covariance.cube.sets)
    here, _ = model.predict(points)
    slopes = []
    for index in numbers:
        moved = points.copy()
        moved[:, index] += _STEP
        slopes.append((model.predict(moved)[0] - here) / _STEP)
    steepest = float(np.sqrt(np.square(slopes).sum(axis=0)).max()) if slopes else 0.0
    return max(steepest, _LEAST_SLOPE)

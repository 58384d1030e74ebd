"""Values of a metric as scores: larger is better, and a model can learn from them.

What a training returns has no bell shape: most configs lie close together, some are far worse, and a learning rate
too large gives nothing at all. Of the better half the distances count; of the worse half only the order, so that a
cliff does not hide the differences at its top (the half-rank warping of Song et al. 2024, "The Vizier Gaussian
Process Bandit Algorithm").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Values = NDArray[np.float64]


def scores(values: Values) -> Values:
    """About zero for the middle one, with unit spread. -inf is the worst; all alike are all zero."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(len(values))
    known = np.where(finite, values, values[finite].min() - 1.0)
    middle = np.median(known)
    better = known[known >= middle] - middle
    spread = float(np.sqrt(np.mean(better**2))) or float(known.std())
    if spread <= 1e-12 * max(1.0, abs(float(middle))):
        return np.zeros(len(values))
    return np.asarray(np.where(known >= middle, (known - middle) / spread, np.minimum(ndtri(_ranks(known)), 0.0)))


def _ranks(values: Values) -> Values:
    """Between 0 and 1; equal values share theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle = (last - counts + last) / 2
    return np.asarray(middle[inverse] / len(values))

"""What a curve's own rise says of where it ends.

A rise is taken for an exponential that nears its last value: at first fast, then ever slower, by a time constant that
may be anything from a twentieth of the training to several of them, where the rise is all but straight (an exponential
in the epochs is one of the families of Domhan et al. 2015; that other trainings of the same task tell how fast a
curve flattens is from freeze-thaw, Swersky et al. 2014). Each time constant counts as far as the values agree with it
and as trainings that came to their end have had it; as if there had been a few more with any, so one that is slower
than all before is not ruled out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tao_automl.search.curves import Curve

Values = NDArray[np.float64]

_CONSTANTS = np.geomspace(0.05, 5.0, 14)  # parts of the training
_OTHERS = 5.0  # trainings that are thought of with any time constant
_NOISE_COUNT = 2.0  # what the noise of full trainings counts as


def chance(curve: Curve, known: Sequence[Curve], epochs: int, target: float) -> float:
    """How likely a curve ends at `target` or above, larger is better, by its own rise.

    Args:
        known: full trainings, at least one; they tell how noisy values are and how fast they flatten.
    """
    least = 1e-4 * max(1e-9, *(abs(value) for value in curve.values))
    noise = max(float(np.mean([other.noise for other in known])), least)
    usual = sum((_Fit.of(other, epochs, noise).weights for other in known), _OTHERS / len(_CONSTANTS))
    fit = _Fit.of(curve, epochs, noise)
    weights = usual * fit.weights
    above = [NormalDist().cdf(z) for z in (fit.ends - target) / fit.spreads]
    return float(weights @ np.array(above) / weights.sum())


@dataclass(frozen=True)
class _Fit:
    """For each time constant how well it agrees, with a sum of 1, and where the curve would end by it."""

    weights: Values
    ends: Values
    spreads: Values  # standard deviations

    @classmethod
    def of(cls, curve: Curve, epochs: int, noise: float) -> _Fit:
        """By least squares. The noise is one more unknown, of which `noise` is what is thought of it beforehand."""
        values = np.array(curve.values)
        count = len(values)
        left = np.exp(-np.arange(1, count + 1) / epochs / _CONSTANTS[:, None])
        middle, mean = left.mean(axis=1), float(values.mean())
        away = left - middle[:, None]
        squares = (away * away).sum(axis=1) + 1e-12
        slopes = away @ (values - mean) / squares
        missed = np.square(values - mean - slopes[:, None] * away).sum(axis=1) + _NOISE_COUNT * noise**2
        ahead = np.exp(-1 / _CONSTANTS) - middle
        variance = missed / (max(count - 2, 0) + _NOISE_COUNT) * (1 + 1 / count + ahead**2 / squares)
        logs = -0.5 * (max(count - 2, 0) + _NOISE_COUNT) * np.log(missed)
        weights = np.exp(logs - logs.max())
        return cls(weights / weights.sum(), mean + slopes * ahead, np.sqrt(variance))

"""What full learning curves say of where an unfinished one would end.

A trial's value is that of its best epoch, so curves are taken as the best value so far. Among the trainings that came
to their end, the gain from an epoch to the end is regressed on what was seen up to there: the value, what the last
half of the epochs has given, and what the quarter before it had. Of the value, a slope near 0 says that early
differences stay, one near -1 that they say nothing; of the gains, how a rise goes on. Before any curve was seen, each
doubling of the epochs is thought to give what the last one gave, give or take all of it (of exponentials and power
laws, into which Domhan et al. 2015 put curves, both are linear: how steep, the trainings tell). The regression is
Bayesian, so with few curves the slopes are uncertain, the more so the more of the rise is still to come, and so is
every estimate for a curve that differs from those that were seen.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.attributes import INFEASIBLE
from tao_automl.search.proposal import budget_of

Values = NDArray[np.float64]

SLOPE_SD = 1.0  # how far the gain may depend on the value, at the start, before any curve was seen
PRIOR_CURVES = 1.0  # what the prior of the scatter counts as
SCATTER = 0.2  # of the mean gain, before any curve was seen
_LEAST = 0.05  # part of the rise that is to come, at least: slopes are never known for certain
_ROUNDS = 4  # slopes and scatter depend on each other


@dataclass(frozen=True)
class Estimate:
    """Where a training would end, in the metric's own units and direction, and how sure that is."""

    value: float
    sd: float


@dataclass(frozen=True)
class Curve:
    """The best value so far by epoch, larger is better. An epoch without a value has the one before it.

    `noise` is the standard deviation of a single value around its neighbours.
    """

    values: tuple[float, ...]
    noise: float = 0.0

    @classmethod
    def of(cls, trial: FrozenTrial, maximize: bool) -> Curve:
        """Of a trial's reported values; empty if it has none. Epochs before the first value count as it."""
        sign = 1.0 if maximize else -1.0
        return cls.along(
            {epoch: sign * value for epoch, value in trial.intermediate_values.items() if math.isfinite(value)}
        )

    @classmethod
    def along(cls, points: Mapping[int, float]) -> Curve:
        """Of values by epoch, larger is better."""
        if not points:
            return cls(())
        found, best = [], points[min(points)]
        for epoch in range(max(points) + 1):
            best = max(best, points.get(epoch, best))
            found.append(best)
        return cls(tuple(found), _noise([value for _, value in sorted(points.items())]))

    @property
    def end(self) -> float:
        return self.values[-1]

    @property
    def last(self) -> int:
        """Its last epoch."""
        return len(self.values) - 1


def full(trials: Iterable[FrozenTrial], epochs: int, maximize: bool) -> list[Curve]:
    """Curves of the trainings that came to the end of all epochs."""
    return [
        Curve.of(trial, maximize)
        for trial in trials
        if trial.state == TrialState.COMPLETE
        and budget_of(trial, epochs) >= epochs
        and trial.intermediate_values
        and not trial.user_attrs.get(INFEASIBLE)
    ]


@dataclass(frozen=True)
class Forecast:
    """How the gain from an epoch to the end follows from what a curve has shown up to that epoch."""

    epoch: int
    middle: Values  # what the curves that were learned from have shown
    gain: float  # and their mean gain
    slopes: Values
    doubt: Values  # covariance of the slopes
    rest: float  # variance of what the slopes leave open

    @classmethod
    def learned(cls, known: Sequence[Curve], epoch: int) -> Forecast | None:
        """From curves that are longer; None without any."""
        longer = [other for other in known if other.last >= epoch]
        if not longer:
            return None
        shapes = np.array([_shape(other, epoch) for other in longer])
        gains = np.array([other.end - other.values[epoch] for other in longer])
        middle, gain = shapes.mean(axis=0), float(gains.mean())
        rise = statistics.fmean(other.end - other.values[0] for other in longer)
        expected, precision = _prior(epoch, longer[0].last, gain / rise if rise > 0 else 0.0)
        usual = max((SCATTER * gain) ** 2, (1e-3 * max(abs(middle[0]), abs(gain))) ** 2, 1e-18)
        usual = max(usual, statistics.fmean(other.noise**2 for other in longer))
        away, rest = shapes - middle, gains - gain
        count = len(longer) + PRIOR_CURVES
        scatter = (float(np.sum((rest - away @ expected) ** 2)) + PRIOR_CURVES * usual) / count
        for _ in range(_ROUNDS):
            doubt = np.linalg.inv(away.T @ away / scatter + np.diag(precision))
            slopes = doubt @ (away.T @ rest / scatter + precision * expected)
            missed = (rest - away @ slopes) ** 2
            total = float(missed.sum() + np.trace(doubt @ away.T @ away)) + PRIOR_CURVES * usual
            scatter = total / count
        own = 1 / len(longer) + np.einsum("ij,jk,ik->i", away, doubt, away) / scatter
        trust = _surprise(missed / (1 - np.minimum(own, 0.9)), total)
        return cls(epoch, middle, gain, slopes, doubt * trust, scatter * (1 + 1 / len(longer)) * trust)

    def of(self, curve: Curve) -> Estimate:
        """Where a curve ends that came to this epoch, larger is better."""
        off = _shape(curve, self.epoch) - self.middle
        variance = self.rest + float(off @ self.doubt @ off)
        value = curve.values[self.epoch] + max(0.0, self.gain + float(off @ self.slopes))
        return Estimate(value, math.sqrt(variance))


def at_end(known: Sequence[Curve], curve: Curve) -> Estimate | None:
    """Where a curve ends, larger is better; None without longer ones to learn from."""
    learned = Forecast.learned(known, curve.last)
    return learned.of(curve) if learned else None


def _surprise(missed: Values, total: float) -> float:
    """By what factor the variance was too small where each curve was foretold from the others; at least 1.

    Args:
        missed: squared errors, each from the others' slopes, in which each curve has its own doubt.
        total: the sum of squares that the scatter was taken from.
    """
    others = np.maximum(total - missed, 1e-3 * total) / (len(missed) - 1 + PRIOR_CURVES)
    return max(1.0, float(np.mean(missed / others)))


def _shape(curve: Curve, epoch: int) -> Values:
    """What is seen of a curve at an epoch: its value, and what the last half and the quarter before have given."""
    half, quarter = _before(epoch)
    now, then, first = (curve.values[at] for at in (epoch, half, quarter))
    return np.array([now, now - then, then - first])


def _before(epoch: int) -> tuple[int, int]:
    """The epochs at which a half and a quarter of the way to this one were done."""
    return max(0, (epoch + 1) // 2 - 1), max(0, (epoch + 1) // 4 - 1)


def _prior(epoch: int, last: int, part: float) -> tuple[Values, Values]:
    """Slopes of the gain that is to come and their precisions, before any curve was seen.

    Args:
        part: of the rise, that is still to come.
    """
    half, _ = _before(epoch)
    doubled = math.log((last + 1) / (epoch + 1)) / math.log((epoch + 1) / (half + 1)) if epoch > half else 0.0
    spreads = np.array([SLOPE_SD * max(part, _LEAST), max(doubled, _LEAST), max(doubled, _LEAST) / 2])
    return np.array([0.0, doubled, 0.0]), 1 / spreads**2


def outcomes(trials: Sequence[FrozenTrial], epochs: int, maximize: bool) -> dict[int, Estimate]:
    """Where each trial that was stopped early would have ended, by its number.

    Infeasible trials have no estimate, nor any trial while no training has come to its end.

    Args:
        epochs: of a full training.
    """
    known, sign = full(trials, epochs, maximize), 1.0 if maximize else -1.0
    learned: dict[int, Forecast | None] = {}
    found = {}
    for trial in trials:
        if trial.state != TrialState.PRUNED or trial.user_attrs.get(INFEASIBLE):
            continue
        curve = Curve.of(trial, maximize)
        epoch = min(curve.last, epochs - 1)
        if epoch >= 0 and epoch not in learned:
            learned[epoch] = Forecast.learned(known, epoch)
        forecast = learned.get(epoch)
        if forecast is not None:
            estimate = forecast.of(curve)
            found[trial.number] = Estimate(sign * estimate.value, estimate.sd)
    return found


def _noise(values: Sequence[float]) -> float:
    """From second differences, to which a smooth curve adds little; their median, so that a drop adds nothing."""
    bends = [abs(one - 2 * two + three) for one, two, three in zip(values, values[1:], values[2:], strict=False)]
    return statistics.median(bends[len(bends) // 2 :]) / (0.6745 * math.sqrt(6)) if bends else 0.0

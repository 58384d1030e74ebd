"""What full learning curves say of where an unfinished one would end.

A trial's value is that of its best epoch, so curves are taken as the best value so far. Among the trainings that came
to their end, the gain from an epoch to the end is regressed on the value at that epoch: a slope near 0 says that
early differences stay, one near -1 that they say nothing. With few curves the slope is uncertain, the more so the more
of the rise is still to come, and so is every estimate for a curve that lies far from those that were seen.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.attributes import INFEASIBLE
from tao_automl.search.proposal import budget_of

SLOPE_SD = 0.5  # how far the gain may depend on the value, at the start, before any curve was seen
PRIOR_CURVES = 2.0  # what the prior of the scatter counts as
SCATTER = 0.3  # of the mean gain, before any curve was seen


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


def at_end(curves: Sequence[Curve], epoch: int, level: float) -> Estimate | None:
    """Where a curve ends that has `level` at an epoch, larger is better; None without curves to learn from."""
    seen = [(curve.values[epoch], curve.end - curve.values[epoch]) for curve in curves if curve.last >= epoch]
    if not seen:
        return None
    middle, gain = (statistics.fmean(column) for column in zip(*seen, strict=True))
    spread = math.fsum((value - middle) ** 2 for value, _ in seen)
    scatter = _scatter(seen, middle, gain)
    doubt = _doubt(curves, epoch, gain)
    precision = spread / scatter + doubt
    slope = math.fsum((value - middle) * (found - gain) for value, found in seen) / scatter / precision
    rest = math.fsum((found - gain - slope * (value - middle)) ** 2 for value, found in seen)
    scatter = (rest + PRIOR_CURVES * _prior(gain, middle)) / (len(seen) + PRIOR_CURVES)
    away = level - middle
    variance = scatter * (1 + 1 / len(seen)) + away**2 / (spread / scatter + doubt)
    return Estimate(max(level, level + gain + slope * away), math.sqrt(variance))


def outcomes(trials: Sequence[FrozenTrial], epochs: int, maximize: bool) -> dict[int, Estimate]:
    """Where each trial that was stopped early would have ended, by its number.

    Infeasible trials have no estimate, nor any trial while no training has come to its end.

    Args:
        epochs: of a full training.
    """
    known, sign = full(trials, epochs, maximize), 1.0 if maximize else -1.0
    found = {}
    for trial in trials:
        if trial.state != TrialState.PRUNED or trial.user_attrs.get(INFEASIBLE):
            continue
        curve = Curve.of(trial, maximize)
        estimate = at_end(known, min(curve.last, epochs - 1), curve.end) if curve.values else None
        if estimate is not None:
            found[trial.number] = Estimate(sign * estimate.value, estimate.sd)
    return found


def _noise(values: Sequence[float]) -> float:
    """From second differences, to which a smooth curve adds little; their median, so that a drop adds nothing."""
    bends = [abs(one - 2 * two + three) for one, two, three in zip(values, values[1:], values[2:], strict=False)]
    return statistics.median(bends[len(bends) // 2 :]) / (0.6745 * math.sqrt(6)) if bends else 0.0


def _scatter(seen: Sequence[tuple[float, float]], middle: float, gain: float) -> float:
    """Variance of the gains as they are, never quite 0."""
    total = math.fsum((found - gain) ** 2 for _, found in seen) + PRIOR_CURVES * _prior(gain, middle)
    return total / (len(seen) + PRIOR_CURVES)


def _doubt(curves: Sequence[Curve], epoch: int, gain: float) -> float:
    """Precision of the slope before any curve was seen: by the part of the rise that is still to come."""
    rise = statistics.fmean(curve.end - curve.values[0] for curve in curves if curve.last >= epoch)
    part = gain / rise if rise > 0 else 0.0
    return 1 / (SLOPE_SD * max(part, 0.05)) ** 2


def _prior(gain: float, middle: float) -> float:
    return max((SCATTER * gain) ** 2, (1e-3 * max(abs(middle), abs(gain))) ** 2, 1e-18)

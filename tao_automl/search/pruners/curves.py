"""Stop a trial whose curve is plainly worse: even with luck it would not end as high as the best has ended.

Where it would end is estimated from the trainings that came to their end (`search.curves`): if early values have said
little of the end, or curves have crossed, the estimate is wide and nothing is stopped. A trial that lies low and
may get there by its own rise, as that has flattened so far (`search.rise`), is late, not bad, and goes on.

The first epochs are never judged, nor are trials before three trainings have come to their end. Trial 0 holds the
launched values: every other trial is compared with it, so it runs to its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from tao_automl.search import curves, rise
from tao_automl.search.curves import Curve
from tao_automl.search.proposal import budget_of

_STARTUP_TRIALS = 3
_WARM_UP = 0.1  # of the epochs
_WARM_UP_EPOCHS = 2
_LUCK = 1.0  # standard deviations above the estimate that a trial is given
_CHANCE = 0.2  # of getting there by its own rise, with which a trial goes on
_NOISE = 2.0  # standard deviations by which the best of many noisy values is too good


class Curves(BasePruner):
    """`epochs` are those of a full training."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        if trial.number == 0 or not trial.intermediate_values:
            return False
        epoch = max(trial.intermediate_values)
        if (
            epoch < max(_WARM_UP_EPOCHS, math.ceil(_WARM_UP * self._epochs))
            or epoch >= budget_of(trial, self._epochs) - 1
        ):
            return False
        maximize = study.direction == StudyDirection.MAXIMIZE
        known = curves.full(study.get_trials(deepcopy=False), self._epochs, maximize)
        return len(known) >= _STARTUP_TRIALS and is_hopeless(Curve.of(trial, maximize), known, self._epochs)


def is_hopeless(curve: Curve, known: Sequence[Curve], epochs: int) -> bool:
    """True if a curve will not end as high as the best of the `known` ones, as far as those and it itself tell."""
    target = max(other.end - _NOISE * other.noise for other in known)
    estimate = curves.at_end(known, curve)
    if estimate is None or estimate.value + _LUCK * estimate.sd >= target:
        return False
    return rise.chance(curve, known, epochs, target) < _CHANCE


def make(epochs: int, direction: str) -> BasePruner:  # noqa: ARG001 the study knows its direction
    return Curves(epochs)

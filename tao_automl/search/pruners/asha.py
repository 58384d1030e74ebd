"""Successive halving without waiting, by stopping (Li et al. 2020): nothing is resumed.

At each rung, min_epochs * eta^k, a trial goes on if it is among the best 1/eta of those that have been there; the
others stop for good. `--algorithm asha` promotes instead, and loses nothing of what it has stopped.

Trial 0 holds the launched values: every other trial is compared with it, so it runs to its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.rungs import Terms, default_min_epochs, rungs, value_at

REDUCTION = 3
_WARM_UP = 0.1  # of the epochs
_WARM_UP_EPOCHS = 2


class Halving(BasePruner):
    """`steps` are the rungs in epochs, without the full training."""

    def __init__(self, steps: Sequence[int]) -> None:
        self._steps = steps

    def rungs_of(self, number: int) -> Sequence[int]:  # noqa: ARG002 the same for every trial
        """The rungs of a trial, by its number."""
        return self._steps

    def rivals(self, trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
        """The other trials that it is compared with."""
        return [trial for trial in trials if trial.number != number]

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        epochs = sorted(trial.intermediate_values)
        rung = self._arrived(trial.number, epochs)
        if trial.number == 0 or rung is None:
            return False
        maximize = study.direction == StudyDirection.MAXIMIZE
        others = self.rivals(study.get_trials(deepcopy=False), trial.number)
        there = [other for other in others if max(other.intermediate_values, default=-1) >= rung - 1]
        done = [other for other in there if other.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if len(done) < REDUCTION:  # the best of fewer says little
            return False
        own = value_at(trial, rung, maximize)
        values = [value for other in there if (value := value_at(other, rung, maximize)) is not None]
        better = sum((value > own) if maximize else (value < own) for value in values) if own is not None else 0
        return better >= max(1, (len(there) + 1) // REDUCTION)

    def _arrived(self, number: int, epochs: Sequence[int]) -> int | None:
        """The rung that the last report was the first to reach."""
        if not epochs:
            return None
        before = epochs[-2] if len(epochs) > 1 else -1
        return max((rung for rung in self.rungs_of(number) if before < rung - 1 <= epochs[-1]), default=None)


def judged_rungs(epochs: int) -> tuple[int, ...]:
    """Rungs below a full training and behind the first epochs, which are never judged."""
    warm_up = max(_WARM_UP_EPOCHS, math.ceil(_WARM_UP * epochs))
    terms = Terms(configs=1, epochs=epochs, min_epochs=default_min_epochs(epochs, REDUCTION), reduction=REDUCTION)
    return tuple(rung for rung in rungs(terms)[:-1] if rung - 1 >= warm_up)


def make(epochs: int, direction: str) -> BasePruner:  # noqa: ARG001 the study knows its direction
    return Halving(judged_rungs(epochs))

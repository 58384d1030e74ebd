"""Stop a trial whose best value so far is below the median of the finished trials at the same epoch."""

from __future__ import annotations

import math

from optuna.pruners import BasePruner, MedianPruner
from optuna.study import Study
from optuna.trial import FrozenTrial

_STARTUP_TRIALS = 3  # a median of fewer says little
_WARM_UP = 0.1  # of the epochs
_WARM_UP_EPOCHS = 2


class _Median(MedianPruner):
    """Trial 0 holds the launched values: every other trial is compared with it, so it runs to its end."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        return trial.number > 0 and super().prune(study, trial)


def make(epochs: int, direction: str) -> BasePruner:  # noqa: ARG001 the study knows its direction
    """The first tenth of `epochs`, and at least two, are never judged."""
    warm_up = max(_WARM_UP_EPOCHS, math.ceil(_WARM_UP * epochs))
    return _Median(
        n_startup_trials=_STARTUP_TRIALS,
        n_warmup_steps=warm_up,
        n_min_trials=_STARTUP_TRIALS,
    )

"""Tree-structured Parzen estimator, set for studies of ten to thirty trials."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler

from tao_automl.search.algorithms import stream
from tao_automl.search.space import SearchSpace

SEVERAL = True

# Optuna's ten would leave nothing to learn from in a study of ten trials.
_STARTUP_TRIALS = 4


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:  # noqa: ARG001 learns the space from the trials
    """Joint over all parameters, and away from configurations that run at the moment (constant liar)."""
    return TPESampler(
        n_startup_trials=_STARTUP_TRIALS,
        multivariate=True,
        constant_liar=True,
        seed=stream(seed, trials_so_far),
    )

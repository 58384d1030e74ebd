"""Optuna's own Gaussian-process sampler, which needs torch."""

from __future__ import annotations

import importlib.util
import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler

from tao_automl.errors import UsageError
from tao_automl.search.algorithms import stream
from tao_automl.search.space import SearchSpace

_STARTUP_TRIALS = 5


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:  # noqa: ARG001 learns the space from the trials
    """A few independent draws, then the model.

    Raises:
        UsageError: torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise UsageError(
            "the algorithm 'gp' needs torch, which is not installed",
            "install it with `pip install 'tao-automl[torch]'`, or take `--algorithm bayesian`, which needs none",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GPSampler(seed=stream(seed, trials_so_far), n_startup_trials=_STARTUP_TRIALS)
